package field

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestFailuresAreSeen has requests fail for reasons that people meet, at the default level of
// the log: it says which outbound failed, why, and the likely mend, in few lines.
func TestFailuresAreSeen(t *testing.T) {
	t.Parallel()
	hop := func(server int, password string) string {
		return fmt.Sprintf("[outbound.home]\nkind = \"ss\"\nserver = %q\ncipher = \"house\"\n[cipher.house]\nkind = \"chacha20-ietf-poly1305\"\npassword = %q\n",
			peer.Addr(server), password)
	}
	server, closed := peer.FreePort(t), peer.FreePort(t)
	run(t, fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "house"
handshake_timeout = "1s"
[outbound.direct]
[cipher.house]
kind = "chacha20-ietf-poly1305"
password = "right"
`, peer.Addr(server)), server)
	for _, tc := range []struct {
		name, chain, tables, target string
		want                        []string
	}{
		{"a dead server", "outbound.home", hop(closed, "right"), "192.0.2.1:80",
			[]string{"requests failed outbound=home reason=refused", "is the server running"}},
		{"a wrong password", "outbound.home", hop(server, "wrong"), "192.0.2.1:80",
			[]string{"no answer to any request requests=5 outbound=home reason=silence", "wrong method or password, or its clock?"}},
		{"a refused target", "outbound.direct", "[outbound.direct]\nallow = [\"127.0.0.1\"]\n", peer.Addr(closed),
			[]string{"requests failed outbound=direct reason=refused", "nothing listens on the port of the target"}},
		{"no such name", "outbound.direct", "[outbound.direct]\n", "nothing.invalid:80",
			[]string{"requests failed outbound=direct reason=name", "umbra resolve"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			port := peer.FreePort(t)
			umbra := run(t, fmt.Sprintf("[pipeline.local]\nchain = [\"inbound.socks5\", %q]\n[inbound.socks5]\nlisten = %q\n", tc.chain, peer.Addr(port))+tc.tables, port)
			for range 7 {
				ask(t, port, tc.target)
			}
			for _, want := range tc.want {
				umbra.WaitOutput(t, want)
			}
			if n := strings.Count(umbra.Output(), " WARN "); n > 3 { // one is that everyone is served
				t.Errorf("got %d warnings, want few:\n%s", n, umbra.Output())
			}
		})
	}
}

// ask sends a request through a SOCKS5 server, and reads until its end.
func ask(t *testing.T, port int, target string) {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	addr, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(append(socksaddr.Append([]byte{5, 1, 0, 5, 1, 0}, addr), "GET / HTTP/1.0\r\n\r\n"...)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, c)
}
