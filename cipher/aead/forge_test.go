package aead_test

import (
	"crypto/rand"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/key"
)

// forge seals any plaintext as a datagram under the password of the vectors.
func forge(t testing.TB, method string, plain []byte) []byte {
	t.Helper()
	s := spec(t, method)
	wire := make([]byte, s.KeySize)
	rand.Read(wire) // never fails
	box, err := s.New(key.Session(key.FromPassword(password, s.KeySize), wire))
	if err != nil {
		t.Fatal(err)
	}
	return box.Seal(wire, make([]byte, box.NonceSize()), plain, nil)
}
