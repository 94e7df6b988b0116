package aead_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
)

// The first length proves the key: from then on the client is a user, and no decoy is used.
func TestWaits(t *testing.T) {
	s := spec(t, "aes-256-gcm")
	const want = 32 + 2 + 16
	if got := ciphertest.ProofSize(t, func(t testing.TB) core.Cipher { return newCipher(t, s) }); got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
}
