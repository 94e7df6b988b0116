package aead_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
)

// The first length shows the key: from then on the bytes are a user's, and no decoy's
// business.
func TestWaits(t *testing.T) {
	s := spec(t, "aes-256-gcm")
	const want = 32 + 2 + 16
	if got := ciphertest.Shows(t, func(t testing.TB) core.Cipher { return newCipher(t, s) }); got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
}
