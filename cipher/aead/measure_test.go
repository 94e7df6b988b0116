package aead_test

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestMeasure counts searches among few and many users, over a reload too.
func TestMeasure(t *testing.T) {
	const method = "aes-128-gcm"
	for _, n := range []int{3, 40} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := new(core.Process)
			load := func() core.Cipher {
				c, _, err := build(t, registry(), method, aead.Options{Options: users.Options{Users: manyUsers(n)}}, p)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			c := load()
			for i := range 5 { // the first one from each address is searched for
				from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 2)}), 1)
				if _, err := accept(t, c, flightOf(t, client(t, method, n-1)), from); err != nil {
					t.Fatal(err)
				}
			}
			noise := make([]byte, 100)
			for range 3 {
				rand.Read(noise)
				if _, err := accept(t, c, noise, someone); err == nil {
					t.Fatal("noise was accepted")
				}
			}
			if _, err := packetServer(t, c).Open(datagram(t, client(t, method, 0)), netip.MustParseAddrPort("198.51.100.1:1")); err != nil {
				t.Fatal(err)
			}
			c = load()
			got := coretest.Figures(c.(core.Measurer))
			if len(got) != 2 || got[`umbra_cipher_trials_total{cipher="house",found="true"}`] != 3 || got[`umbra_cipher_trials_total{cipher="house",found="false"}`] != 3 {
				t.Errorf("got %v, want 3 found and 3 not", got)
			}
			coretest.TestMeasurer(t, c.(core.Measurer), func() { _, _ = accept(t, c, noise, someone) })
		})
	}
	if got := coretest.Figures(client(t, method, 0).(core.Measurer)); len(got) != 0 {
		t.Errorf("one key: got %v", got)
	}
}
