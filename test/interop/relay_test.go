package interop

import (
	"fmt"
	"testing"

	"github.com/sagernet/sing-shadowsocks/shadowaead_2022"
	M "github.com/sagernet/sing/common/metadata"
)

// relayKeys are the keys of a relay, of the server behind it and of a user there.
func relayKeys(size int) (relay, server, user string) {
	return psk(size, 'r'), psk(size, 's'), psk(size, 'u')
}

var relayMethods = map[string]int{"2022-blake3-aes-128-gcm": 16, "2022-blake3-aes-256-gcm": 32}

// umbraRelay runs a relay to one server and returns its address.
func umbraRelay(t *testing.T, method, key, nextKey, next string) string {
	t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	runUmbra(t, fmt.Sprintf(`
[pipeline.relay]
chain = ["inbound.relay", "outbound.direct"]
[inbound.relay]
listen = %q
cipher = "own"
next = { behind = { key = %q, server = %q } }
[outbound.direct]
allow = ["127.0.0.0/8"]
[cipher.own]
kind = %q
password = %q
`, at, nextKey, next, method, key))
	return at
}

// TestUmbraRelay uses the other implementation's client with its own server, and with umbra's, through
// umbra's relay.
func TestUmbraRelay(t *testing.T) {
	for method, size := range relayMethods {
		relay, server, user := relayKeys(size)
		for name, behind := range map[string]string{
			"their server": singServer(t, method, server, user),
			"our server":   umbraServer(t, method, fmt.Sprintf("password = %q\nusers = { alice = %q }\n", server, user)),
		} {
			t.Run(method+", "+name, func(t *testing.T) {
				target := echoServers(t)
				at := umbraRelay(t, method, relay, server, behind)
				client, err := shadowaead_2022.NewWithPassword(method, relay+":"+server+":"+user, nil)
				if err != nil {
					t.Fatal(err)
				}
				streamToUmbra(t, client, at, target)
				if name == "our server" { // the other server drops empty datagrams
					packetsToUmbra(t, client, at, target)
				}
				askThrough(t, umbraLocal(t, method, fmt.Sprintf("password = %q\n", relay+":"+server+":"+user), at), target)
			})
		}
	}
}

// TestSingRelay uses umbra's client with umbra's server through the other implementation's relay.
func TestSingRelay(t *testing.T) {
	for method, size := range relayMethods {
		t.Run(method, func(t *testing.T) {
			relay, server, user := relayKeys(size)
			behind := umbraServer(t, method, fmt.Sprintf("password = %q\nusers = { alice = %q }\n", server, user))
			service, err := shadowaead_2022.NewRelayServiceWithPassword[string](method, relay, 60, singHandler{t})
			if err != nil {
				t.Fatal(err)
			}
			if err := service.UpdateUsersWithPasswords([]string{"behind"}, []string{server}, []M.Socksaddr{M.ParseSocksaddr(behind)}); err != nil {
				t.Fatal(err)
			}
			at := serve(t, service)
			askThrough(t, umbraLocal(t, method, fmt.Sprintf("password = %q\n", relay+":"+server+":"+user), at), echoServers(t))
		})
	}
}
