package field

import (
	"fmt"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// The two sides of an association over a stream: ports and the line of a transport are left
// open.
const (
	overStreamServer = `
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = "127.0.0.1:%d"
mode = "tcp"
udp_over_stream = true
cipher = "house"
%s
[outbound.direct]
allow = ["127.0.0.0/8"]
[log]
level = "debug"
`
	overStreamLocal = `
[pipeline.local]
chain = ["inbound.socks5", "outbound.far"]
[inbound.socks5]
listen = "127.0.0.1:%d"
[outbound.far]
kind = "ss"
server = "127.0.0.1:%d"
cipher = "house"
udp = "stream"
%s
`
)

// TestUDPOverStream talks UDP to several targets at once through a server whose network drops
// UDP: associations travel in streams, bare and in TLS.
func TestUDPOverStream(t *testing.T) {
	t.Parallel()
	certPEM, keyPEM := certificate(t)
	cert, key := write(t, "cert.pem", certPEM), write(t, "key.pem", keyPEM)
	for _, tc := range []struct{ name, method, secret, transport string }{
		{"aes-256-gcm", "aes-256-gcm", "correct horse battery staple", ""},
		{"2022", "2022-blake3-aes-128-gcm", "Y2NjY2NjY2NjY2NjY2NjYw==", ""},
		{"in TLS", "aes-128-gcm", "correct horse battery staple", "transport = [\"front\"]\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			house := fmt.Sprintf("[cipher.house]\nkind = %q\npassword = %q\n", tc.method, tc.secret)
			var atServer, atLocal string // the transport's table
			if tc.transport != "" {
				atServer = fmt.Sprintf("[transport.front]\nkind = \"tls\"\ncert = %q\nkey = %q\n", cert, key)
				atLocal = fmt.Sprintf("[transport.front]\nkind = \"tls\"\nserver_name = \"front.test\"\nca = %q\n", cert)
			}
			ss, socks := peer.FreePort(t), peer.FreePort(t)
			server := run(t, fmt.Sprintf(overStreamServer, ss, tc.transport)+atServer+house, ss)
			run(t, fmt.Sprintf(overStreamLocal, socks, ss, tc.transport)+atLocal+house, socks)
			one, two := listenPacketEcho(t), listenPacketEcho(t)
			a, b := associate(t, socks), associate(t, socks)
			for range 5 {
				talk(t, a, one)
				talk(t, b, one)
				talk(t, a, two)
			}
			if strings.Contains(server.Output(), "association closed") {
				t.Error("an association ended early")
			}
		})
	}
}

// TestUDPOverStreamRefused asks a server that takes no such streams: the log of the local side
// says so.
func TestUDPOverStreamRefused(t *testing.T) {
	t.Parallel()
	ss, socks := peer.FreePort(t), peer.FreePort(t)
	const house = "[cipher.house]\nkind = \"aes-128-gcm\"\npassword = \"correct horse battery staple\"\n"
	server := run(t, strings.Replace(fmt.Sprintf(overStreamServer, ss, ""), "udp_over_stream = true", "", 1)+house, ss)
	local := run(t, fmt.Sprintf(overStreamLocal, socks, ss, "")+house, socks)
	relay := associate(t, socks)
	if _, err := relay.Write([]byte("\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35hello")); err != nil {
		t.Fatal(err)
	}
	server.WaitOutput(t, "sp.v2.udp-over-tcp.arpa")
	local.WaitOutput(t, "does it serve UDP over streams?")
}
