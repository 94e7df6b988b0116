package aead_test

import (
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// A caller is told of waits for as long as nothing has shown a key, and not once the
// first length has: from then on the bytes are a user's, and no decoy's business.
func TestWaits(t *testing.T) {
	s := spec(t, "aes-256-gcm")
	flight := flightOf(t, newCipher(t, s))
	for _, n := range []int{1, 49, 50, 51, len(flight) - 1} {
		client, conn := coretest.Pipe()
		if _, err := client.Write(flight[:n]); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
		told := false
		_, _ = newCipher(t, s).AcceptStream(conn, core.Caller{Addr: someone, Waits: func(soFar []byte) { told = told || len(soFar) == n }})
		if want := n < 50; told != want {
			t.Errorf("%d bytes: told %t, want %t", n, told, want)
		}
		conn.Close()
		client.Close()
	}
}
