package stream_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
)

// perCipher runs a benchmark of the kit for each method.
func perCipher(b *testing.B, run func(b *testing.B, newCipher func(t testing.TB) core.Cipher)) {
	for _, s := range stream.Specs() {
		s = prepared(b, s)
		b.Run(s.Method, func(b *testing.B) {
			run(b, func(t testing.TB) core.Cipher { return newCipher(t, s) })
		})
	}
}

func BenchmarkEncrypt(b *testing.B)   { perCipher(b, ciphertest.BenchmarkSeal) }
func BenchmarkRelay(b *testing.B)     { perCipher(b, ciphertest.BenchmarkRelay) }
func BenchmarkHandshake(b *testing.B) { perCipher(b, ciphertest.BenchmarkHandshake) }
func BenchmarkPacket(b *testing.B)    { perCipher(b, ciphertest.BenchmarkPacket) }
