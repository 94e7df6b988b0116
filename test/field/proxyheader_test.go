package field

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestUnexpectedProxyHeader has a balancer send PROXY headers to inbounds that expect none:
// the log says so, and neither policy.ban nor tools that read the log ban the balancer.
func TestUnexpectedProxyHeader(t *testing.T) {
	t.Parallel()
	const v1, v2 = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x67\x01\xbb"
	cipher := "cipher = \"house\"\nhandshake_timeout = \"1s\"\n[cipher.house]\nkind = %q\npassword = %q\n"
	for _, tc := range []struct{ name, kind, rest string }{
		{"ss", "ss", fmt.Sprintf(cipher, "chacha20-ietf-poly1305", "sesame")},
		{"ss 2022", "ss", fmt.Sprintf(cipher, "2022-blake3-aes-256-gcm", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")},
		{"socks5", "socks5", "users = { alice = \"sesame\" }\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			port := peer.FreePort(t)
			umbra := run(t, fmt.Sprintf(`
[pipeline.server]
chain = ["policy.ban", "inbound.in", "outbound.direct"]
[policy.ban]
failures = 1
exempt_loopback = false
[outbound.direct]
[inbound.in]
kind = %q
listen = %q
`, tc.kind, peer.Addr(port))+tc.rest, port)
			for _, header := range []string{v1, v2, v1, v2} {
				c, err := net.Dial("tcp", peer.Addr(port))
				if err != nil {
					t.Fatal(err)
				}
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := io.WriteString(c, header+strings.Repeat("\x8a", 100)); err != nil {
					t.Fatal(err)
				}
				if n, _ := io.Copy(io.Discard, c); n > 0 {
					t.Errorf("got an answer of %d bytes, want none", n)
				}
				c.Close()
			}
			umbra.Until(t, "log all headers", func() bool { return strings.Count(umbra.Output(), "reason=proxy_header") == 4 })
			for text, want := range map[string]bool{"add proxy_protocol to the inbound": true, "can not parse header": false, "banned": false} {
				if got := strings.Contains(umbra.Output(), text); got != want {
					t.Errorf("the log has %q: got %t, want %t", text, got, want)
				}
			}
		})
	}
}
