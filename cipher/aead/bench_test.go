package aead_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/core"
)

func perMethod(b *testing.B, run func(b *testing.B, s aead.Spec)) {
	for _, s := range aead.Specs() {
		b.Run(s.Method, func(b *testing.B) {
			b.ReportAllocs()
			run(b, s)
		})
	}
}

// perCipher runs a benchmark of the kit for each method.
func perCipher(b *testing.B, run func(b *testing.B, newCipher func(t testing.TB) core.Cipher)) {
	perMethod(b, func(b *testing.B, s aead.Spec) {
		run(b, func(t testing.TB) core.Cipher { return newCipher(t, s) })
	})
}

func BenchmarkSeal(b *testing.B)      { perCipher(b, ciphertest.BenchmarkSeal) }
func BenchmarkRelay(b *testing.B)     { perCipher(b, ciphertest.BenchmarkRelay) }
func BenchmarkHandshake(b *testing.B) { perCipher(b, ciphertest.BenchmarkHandshake) }
func BenchmarkPacket(b *testing.B)    { perCipher(b, ciphertest.BenchmarkPacket) }

// BenchmarkOpen opens one chunk in place, as the reader does.
func BenchmarkOpen(b *testing.B) {
	perMethod(b, func(b *testing.B, s aead.Spec) {
		subkey := key.Session(key.FromPassword(password, s.KeySize), make([]byte, s.KeySize))
		box, err := s.New(subkey)
		if err != nil {
			b.Fatal(err)
		}
		nonce := make([]byte, box.NonceSize())
		sealed := box.Seal(nil, nonce, make([]byte, 0x3FFF), nil)
		work := make([]byte, len(sealed))
		b.SetBytes(0x3FFF)
		for b.Loop() {
			copy(work, sealed)
			if _, err := box.Open(work[:0], nonce, work, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
