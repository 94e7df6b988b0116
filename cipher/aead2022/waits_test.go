package aead2022

import (
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
)

// The fixed header proves the key.
func TestWaits(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		c := still(t, s)
		want := s.spec.KeySize + c.headerSize() + requestHeaderSize + tagSize
		if got := ciphertest.ProofSize(t, func(t testing.TB) core.Cipher { return still(t, s) }); got != want {
			t.Errorf("got %d bytes, want %d", got, want)
		}
	})
}
