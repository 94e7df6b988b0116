package aead_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
)

// FuzzAccept lets a server read arbitrary bytes. It must return them unchanged if they are
// not a request, send nothing, and never panic.
func FuzzAccept(f *testing.F) {
	for _, v := range streamVectors(f) {
		if v.Method == "aes-256-gcm" && v.Stream != nil {
			f.Add([]byte(v.Stream), uint16(3))
		}
	}
	var n struct{ TCP []negative }
	ciphertest.ReadJSON(f, "negative.json", &n)
	for _, v := range n.TCP {
		if v.Method == "aes-256-gcm" {
			f.Add([]byte(v.Stream), uint16(len(v.Stream)))
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n0123456789abcdef"), uint16(0))
	s := spec(f, "aes-256-gcm")
	f.Fuzz(func(t *testing.T, wire []byte, cut uint16) {
		ciphertest.Probe(t, newCipher(t, s), wire, cut, nil)
	})
}
