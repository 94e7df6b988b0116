package aead2022

import (
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// A caller is told of waits up to the fixed header, which shows the key, and not
// after it.
func TestWaits(t *testing.T) {
	_, alice, _ := house(t, aes128)
	b := flight(t, alice, "192.0.2.1:80", "hello")
	const shows = 16 + hashSize + requestHeaderSize + tagSize
	for _, n := range []int{1, shows - 1, shows, len(b) - 1} {
		client, conn := coretest.Pipe()
		if _, err := client.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
		told := false
		fresh, _, _ := house(t, aes128)
		_, _ = fresh.AcceptStream(conn, core.Caller{Addr: someone, Waits: func(soFar []byte) { told = told || len(soFar) == n }})
		if want := n < shows; told != want {
			t.Errorf("%d bytes: told %t, want %t", n, told, want)
		}
		conn.Close()
		client.Close()
	}
}
