package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestHAProxyAcceptsHeaders checks that haproxy reads the client from umbra's header.
func TestHAProxyAcceptsHeaders(t *testing.T) {
	web := peer.FreePort(t)
	peer.HAProxy(t, fmt.Sprintf(`
frontend web
  mode http
  bind %s accept-proxy
  http-request return status 200 content-type text/plain lf-string "%%[src] %%[dst]:%%[dst_port]"
`, peer.Addr(web)), web)
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			proxy := peer.FreePort(t)
			umbra := run(t, with(with(directFile(proxy), "[inbound.socks5]", "mode = \"tcp\""),
				"[outbound.direct]", fmt.Sprintf("proxy_protocol = %d", version)), proxy)
			want := "127.3.7.9 " + peer.Addr(web)
			if got, err := curl(t, proxy, "--interface", "127.3.7.9", "http://"+peer.Addr(web)+"/"); got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			quietLog(t, umbra)
		})
	}
}

// TestHeadersBetweenUmbras sends headers below a hop: the server, with TLS or not, gets the address of the
// client of the other umbra.
func TestHeadersBetweenUmbras(t *testing.T) {
	const method = "aes-256-gcm"
	front := newCertificate(t)
	target := newGreeter(t, "hello")
	for _, tc := range []struct{ name, server, local string }{
		{"ss", "", ""},
		{"ss in TLS", "transport = [\"front\"]", "transport = [\"front\"]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, proxy := peer.FreePort(t), peer.FreePort(t)
			file := with(serverFile(server, method), "[inbound.ss]", "mode = \"tcp\"\nproxy_protocol = { trusted = [\"127.0.0.1\"] }\n"+tc.server)
			if tc.server != "" {
				file += fmt.Sprintf("[transport.front]\nkind = \"tls\"\ncert = %q\nkey = %q\n", front.cert, front.key)
			}
			umbra := run(t, file, server)
			file = strings.Replace(localFile(proxy, method, server), `"inbound.socks5"`, `"inbound.socks5", "outbound.direct"`, 1)
			file = with(with(file, "[inbound.socks5]", "mode = \"tcp\""), "[outbound.hop0]", tc.local)
			file += "[outbound.direct]\nproxy_protocol = 2\nallow = [\"127.0.0.0/8\"]\n"
			if tc.local != "" {
				file += fmt.Sprintf("[transport.front]\nkind = \"tls\"\nca = %q\nserver_name = \"front.test\"\n", front.cert)
			}
			run(t, file, proxy)
			c := dialFrom(t, "127.3.7.10", proxy)
			if err := connect(c, target.addr); err != nil {
				t.Fatal(err)
			}
			expect(t, c, "hello\n")
			echo(t, c, "over a hop\n")
			c.Close()
			umbra.WaitOutput(t, fmt.Sprintf("client=%s ", c.LocalAddr()))
			quietLog(t, umbra)
		})
	}
}
