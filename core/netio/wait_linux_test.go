package netio_test

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
)

// TestWaitBytes waits for bytes that come in every way, and reads them afterwards.
func TestWaitBytes(t *testing.T) {
	const least = 50
	for name, tc := range map[string]struct {
		before, later func(t *testing.T, c *net.TCPConn)
		arrived       int // what can be read afterwards; negative if that depends
		want          error
	}{
		"all at once":           {send(least), nothing, least, nil},
		"more":                  {send(3 * least), nothing, 3 * least, nil},
		"all later":             {nothing, send(least), least, nil},
		"in two parts":          {send(least - 1), send(1), least, nil},
		"an end":                {end, nothing, 0, nil},
		"a part and an end":     {both(send(1), end), nothing, 1, nil},
		"a part, later an end":  {send(least - 1), end, least - 1, nil},
		"a part, later a reset": {send(1), reset, -1, nil},
		"a reset":               {reset, nothing, -1, nil},
		"nothing":               {nothing, late, 0, os.ErrDeadlineExceeded},
		"a part":                {send(1), late, 0, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := coretest.TCPPair(t)
			peer, conn := netio.Bare(client), netio.Bare(server)
			tc.before(t, peer)
			done := make(chan error, 1)
			go func() { done <- netio.WaitBytes(conn, least) }()
			tc.later(t, peer)
			if tc.want != nil {
				_ = conn.SetReadDeadline(time.Unix(1, 0))
			}
			if err := coretest.Await(t, "the end of the wait", done); tc.want == nil && err != nil || tc.want != nil && !os.IsTimeout(err) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if tc.want != nil {
				return
			}
			_ = conn.SetReadDeadline(time.Now().Add(coretest.Patience))
			got := make([]byte, 4*least)
			n, err := conn.Read(got)
			for tc.arrived > 0 && n < tc.arrived && err == nil {
				var more int
				more, err = conn.Read(got[n:])
				n += more
			}
			if tc.arrived >= 0 && n != tc.arrived {
				t.Errorf("read: got %d, %v, want %d", n, err, tc.arrived)
			}
			if tc.arrived >= least { // a single byte wakes a reader again
				coretest.Together(func() { coretest.Write(t, client, []byte("x")) }, func() { coretest.Read(t, server, []byte("x")) })
			}
		})
	}
}

func nothing(*testing.T, *net.TCPConn)   {}
func late(*testing.T, *net.TCPConn)      {}
func end(_ *testing.T, c *net.TCPConn)   { _ = c.CloseWrite() }
func reset(_ *testing.T, c *net.TCPConn) { ending.Reset(c) }
func send(n int) func(*testing.T, *net.TCPConn) {
	return func(t *testing.T, c *net.TCPConn) { coretest.Write(t, c, make([]byte, n)) }
}
func both(a, b func(*testing.T, *net.TCPConn)) func(*testing.T, *net.TCPConn) {
	return func(t *testing.T, c *net.TCPConn) { a(t, c); b(t, c) }
}
