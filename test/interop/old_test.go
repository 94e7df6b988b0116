package interop

import (
	"testing"

	shadowsocks "github.com/sagernet/sing-shadowsocks"
	"github.com/sagernet/sing-shadowsocks/shadowstream"
)

// old is the rest of a [cipher.house] table of a method from before AEAD.
const old = "password = \"correct horse battery staple\"\ninsecure = true\n"

// TestOldServer uses the other implementation's client with umbra's server.
func TestOldServer(t *testing.T) {
	for _, method := range shadowstream.List {
		t.Run(method, func(t *testing.T) {
			client, err := shadowstream.New(method, nil, "correct horse battery staple")
			if err != nil {
				t.Fatal(err)
			}
			target := echoServers(t)
			askUmbra(t, client, umbraServer(t, method, old), target)
		})
	}
	t.Run("none", func(t *testing.T) {
		target := echoServers(t)
		// The WriteTo of its packets sends nothing.
		streamToUmbra(t, shadowsocks.NewNone(), umbraServer(t, "none", old), target)
	})
}

// TestOldClient uses umbra with the other implementation's server, which supports one of these methods.
func TestOldClient(t *testing.T) {
	target := echoServers(t)
	service := shadowsocks.NewNoneService(60, singHandler{t})
	askThrough(t, umbraLocal(t, "none", "insecure = true\n", serve(t, service)), target)
}
