package view_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/core/view"
)

// Every standard file is said in a sentence that a person can read.
func TestSentences(t *testing.T) {
	const house = "\n[cipher.house]\nkind = \"aes-256-gcm\"\npassword = \"demo-everyone-knows-this-one\"\n"
	const socks = "\n[inbound.socks5]\nlisten = \"127.0.0.1:1080\"\n"
	const servers = house + socks + `
[outbound.paris]
kind = "ss"
server = "paris.example:8388"
cipher = "house"
[outbound.oslo]
like = "paris"
server = "oslo.example:8388"
`
	for _, tc := range []struct{ name, file, want string }{
		{"transports", servers + `
[pipeline.p]
chain = ["inbound.socks5", "outbound.far"]
[outbound.far]
like = "paris"
transport = ["front", "ws"]
[transport.front]
kind = "tls"
[transport.ws]
kind = "websocket"
path = "/x"
`, "SOCKS5 on 127.0.0.1:1080 → Shadowsocks server paris.example:8388, encrypted with aes-256-gcm in TLS and WebSocket"},
		{"hops", servers + `
[pipeline.p]
chain = ["inbound.socks5", "outbound.tor", "outbound.oslo"]
[outbound.tor]
kind = "socks5"
server = "127.0.0.1:9050"
`, "SOCKS5 on 127.0.0.1:1080 → SOCKS5 proxy 127.0.0.1:9050 → Shadowsocks server oslo.example:8388, encrypted with aes-256-gcm"},
		{"balance", servers + `
[pipeline.p]
chain = ["inbound.socks5", "outbound.all"]
[outbound.all]
kind = "balance"
members = ["paris", "oslo"]
`, "SOCKS5 on 127.0.0.1:1080 → shared among paris and oslo"},
		{"route", servers + `
[pipeline.p]
chain = ["inbound.socks5", "outbound.split"]
[outbound.split]
kind = "route"
rules = ["ads", "far"]
otherwise = ["outbound.direct"]
[outbound.direct]
[outbound.nowhere]
kind = "block"
[rule.ads]
targets = ["ads.example"]
chain = ["outbound.nowhere"]
[rule.far]
targets = ["far.example"]
chain = ["outbound.paris", "outbound.oslo"]
`, "SOCKS5 on 127.0.0.1:1080 → by rule: ads is refused; far to paris → oslo; the rest straight to the targets"},
		{"chain", servers + `
[pipeline.p]
chain = ["inbound.socks5", "outbound.both"]
[outbound.both]
kind = "chain"
chain = ["outbound.paris", "outbound.direct"]
[outbound.direct]
`, "SOCKS5 on 127.0.0.1:1080 → Shadowsocks server paris.example:8388, encrypted with aes-256-gcm → straight to the targets"},
		{"none", `
[pipeline.p]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = ":8388"
cipher = "lab"
[cipher.lab]
kind = "none"
insecure = true
password = "not-needed"
[outbound.direct]
`, "Shadowsocks on port 8388, not encrypted → straight to the targets"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := view.WordsOf(planOf(t, tc.file)).Pipelines["p"]; got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
