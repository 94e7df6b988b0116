package e2e

import (
	"fmt"
	"net"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/peer"
)

// packetSizes are payload sizes in bytes that every peer forwards: none, the minimum, the longest
// traditional DNS answer, and a size that fits every path. shadowsocks-libev drops payloads above
// 1,397 bytes.
func packetSizes() []int { return []int{0, 1, 512, 1200} }

// TestPacketsLocalWithLibevServer uses umbra as the client of ss-server.
func TestPacketsLocalWithLibevServer(t *testing.T) {
	for _, method := range methods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			echoPackets(t, umbraLocal(t, method, peer.SSServer(t, method)), packetSizes()...)
		})
	}
}

// TestPacketsServerWithLibevLocal uses umbra as the server of ss-local.
func TestPacketsServerWithLibevLocal(t *testing.T) {
	for _, method := range methods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			echoPackets(t, peer.SSLocal(t, method, umbraServer(t, method)), packetSizes()...)
		})
	}
}

// TestPacketsServerWithLibevTunnel uses umbra as the server of ss-tunnel.
func TestPacketsServerWithLibevTunnel(t *testing.T) {
	for _, method := range methods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			target := newEcho(t, "127.0.0.1")
			tunnel, err := net.Dial("udp", peer.Addr(peer.SSTunnel(t, method, umbraServer(t, method), target.addr)))
			if err != nil {
				t.Fatal(err)
			}
			defer tunnel.Close()
			_ = tunnel.SetDeadline(soon())
			for i, size := range packetSizes() {
				want := pattern(size, uint64(i))
				if _, err := tunnel.Write([]byte(want)); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, core.MaxDatagram)
				if n, err := tunnel.Read(got); err != nil || string(got[:n]) != want {
					t.Fatalf("%d bytes: got %s and %v, want them back", size, summary(string(got[:n])), err)
				}
			}
		})
	}
}

// TestPacketsBothSides uses umbra at both ends, with payloads up to the maximum of UDP.
func TestPacketsBothSides(t *testing.T) {
	for _, method := range methods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			proxy := umbraLocal(t, method, umbraServer(t, method))
			most := core.MaxDatagram - hopOverhead(t, method)
			echoPackets(t, proxy, append(packetSizes(), 1400, 9000, 60_000, most)...)
			dropLongRequest(t, proxy, most)
			dropLongAnswers(t, proxy, most)
		})
	}
}

// TestPacketsDirect uses no server: a datagram has only the SOCKS5 header in addition to its payload.
func TestPacketsDirect(t *testing.T) {
	const most = core.MaxDatagram - 3 - 7
	proxy := umbraDirect(t)
	echoPackets(t, proxy, append(packetSizes(), 1400, 9000, 60_000, most)...)
	dropLongAnswers(t, proxy, most)
}

// TestPacketsThreeHops uses three hops, with the longest datagram that fits all of them.
func TestPacketsThreeHops(t *testing.T) {
	for _, tc := range []struct {
		name  string
		hops  func(t testing.TB) []int
		sizes []int
	}{
		{"umbra", func(t testing.TB) []int {
			return []int{umbraServer(t, method), umbraServer(t, method), umbraServer(t, method)}
		}, []int{1400, 9000, 60_000, core.MaxDatagram - 3*hopOverhead(t, method)}},
		{"umbra last", func(t testing.TB) []int {
			return []int{peer.SSServer(t, method), peer.SSServer(t, method), umbraServer(t, method)}
		}, nil},
		{"umbra first", func(t testing.TB) []int {
			return []int{umbraServer(t, method), peer.SSServer(t, method), peer.SSServer(t, method)}
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			echoPackets(t, umbraLocal(t, method, tc.hops(t)...), append(packetSizes(), tc.sizes...)...)
		})
	}
}

// hopOverhead is the size in bytes of a datagram to an IPv4 target at a server without its payload:
// salt, address and tag.
func hopOverhead(t testing.TB, method string) int {
	t.Helper()
	return spec(t, method).KeySize + 7 + 16
}

// echoPackets echoes datagrams of every size through a proxy.
func echoPackets(t *testing.T, proxy int, sizes ...int) {
	t.Helper()
	target, a := newEcho(t, "127.0.0.1"), associate(t, proxy)
	for i, size := range sizes {
		a.exchange(t, target.addr, pattern(size, uint64(i)))
	}
	if got := len(target.from()); got != 1 {
		t.Errorf("the target saw %d sources of one association, want 1", got)
	}
}

// dropLongRequest sends a datagram that is one byte too long: it is lost, and the association
// continues.
func dropLongRequest(t *testing.T, proxy, most int) {
	t.Helper()
	target, a := newEcho(t, "127.0.0.1"), associate(t, proxy)
	long := pattern(most+1, 0)
	a.send(t, target.addr, long)
	a.exchange(t, target.addr, "after a long request")
	if target.times(long) > 0 {
		t.Errorf("%d bytes reached the target, want %d at the most", len(long), most)
	}
}

// dropLongAnswers is dropLongRequest for answers.
func dropLongAnswers(t *testing.T, proxy, most int) {
	t.Helper()
	// The request must be long, because a new client of a server gets at most ten times the bytes that it
	// sent.
	target, a := listenPackets(t, "127.0.0.1"), associate(t, proxy)
	a.send(t, target.LocalAddr().String(), pattern(60_000, 0))
	_, server := readPacket(t, target)
	for _, size := range []int{most + 1, core.MaxDatagram} {
		writePacket(t, target, server, pattern(size, 0))
		want := fmt.Sprintf("after an answer of %d bytes", size)
		writePacket(t, target, server, want)
		a.expect(t, target.LocalAddr().String(), want)
	}
}
