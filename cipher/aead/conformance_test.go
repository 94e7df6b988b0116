package aead_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
)

// password is the password of the stored vectors.
const password = "correct horse battery staple"

// newCipher returns a cipher that has not received anything.
func newCipher(t testing.TB, s aead.Spec) *aead.Cipher {
	t.Helper()
	c, err := aead.New(s, key.FromPassword(password, s.KeySize), replay.NewSalts(1<<10))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConformance(t *testing.T) {
	for _, s := range aead.Specs() {
		t.Run(s.Method, func(t *testing.T) {
			ciphertest.Run(t, func(t testing.TB) core.Cipher { return newCipher(t, s) })
			t.Run("packets", func(t *testing.T) {
				ciphertest.RunPackets(t, func(t testing.TB) core.PacketCipher { return newCipher(t, s) })
			})
		})
	}
}
