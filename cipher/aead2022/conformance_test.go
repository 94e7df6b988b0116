package aead2022

import (
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
)

// still returns a new cipher whose clock stands still: the kit moves requests between real
// time and the time of synctest.
func still(t testing.TB, s setting) *Cipher {
	t.Helper()
	c := fresh(t, s.spec, s.keys)
	at(c, noon)
	return c
}

func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		if len(s.keys.PSKs) > 1 && len(s.keys.Users) == 0 {
			t.Skip("the same on the wire as with users")
		}
		ciphertest.Run(t, func(t testing.TB) core.Cipher { return still(t, s) })
	})
}

func TestPacketConformance(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		ciphertest.RunPackets(t, func(t testing.TB) core.PacketCipher { return still(t, s) })
	})
}
