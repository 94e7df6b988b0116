package e2e

import (
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestLocalWithLibevServer uses umbra as the client of ss-server, with every method that both
// support.
func TestLocalWithLibevServer(t *testing.T) {
	for _, method := range methods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			moveFiles(t, umbraLocal(t, method, peer.SSServer(t, method)), sizes()...)
		})
	}
}

// TestServerWithLibevLocal uses umbra as the server of ss-local.
func TestServerWithLibevLocal(t *testing.T) {
	for _, method := range methods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			moveFiles(t, peer.SSLocal(t, method, umbraServer(t, method)), sizes()...)
		})
	}
}

// TestBothSides uses umbra at both ends.
func TestBothSides(t *testing.T) {
	for _, method := range methods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			moveFiles(t, umbraLocal(t, method, umbraServer(t, method)), sizes()...)
		})
	}
}

// TestThreeHops fetches from a web server through three hops, two of which are ss-server.
func TestThreeHops(t *testing.T) {
	const method = "aes-256-gcm"
	for _, tc := range []struct {
		name string
		hops func(t testing.TB) []int
	}{
		{"umbra last", func(t testing.TB) []int {
			return []int{peer.SSServer(t, method), peer.SSServer(t, method), umbraServer(t, method)}
		}},
		{"umbra first", func(t testing.TB) []int {
			return []int{umbraServer(t, method), peer.SSServer(t, method), peer.SSServer(t, method)}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			moveFiles(t, umbraLocal(t, method, tc.hops(t)...), 0, 1, 16384, 10_000_000)
		})
	}
}
