package stream_test

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
)

// password is the password of the stored vectors.
const password = "correct horse battery staple"

// keyOf returns a method's key of the password.
func keyOf(s stream.Spec) []byte {
	if s.KeySize == 0 {
		return []byte(password)
	}
	return key.FromPassword(password, s.KeySize)
}

// newCipher returns a cipher that has not received anything.
func newCipher(t testing.TB, s stream.Spec) *stream.Cipher {
	t.Helper()
	c, err := stream.New(s, keyOf(s), replay.NewSalts(1<<10))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestConformance runs the kit. Methods that differ from others only in the key size are
// covered by TestVectors, TestOpenSSL and TestSplits.
func TestConformance(t *testing.T) {
	for _, s := range stream.Specs() {
		if strings.HasPrefix(s.Method, "aes-128-") || strings.HasPrefix(s.Method, "aes-192-") {
			continue
		}
		t.Run(s.Method, func(t *testing.T) { conform(t, prepared(t, s)) })
	}
}

// prepared returns s with a cached key schedule: the kit creates thousands of ciphers.
func prepared(t testing.TB, s stream.Spec) stream.Spec {
	t.Helper()
	if s.New != nil {
		start, err := s.New(keyOf(s))
		s.New = func([]byte) (stream.Start, error) { return start, err }
	}
	return s
}

// conform runs the kit.
func conform(t *testing.T, s stream.Spec) {
	streams := func(t testing.TB) core.Cipher { return newCipher(t, s) }
	packets := func(t testing.TB) core.PacketCipher { return newCipher(t, s) }
	ciphertest.RunUnauthenticated(t, streams)
	t.Run("packets", func(t *testing.T) { ciphertest.RunUnauthenticatedPackets(t, packets) })
	if s.IVSize > 0 {
		t.Run("replays", func(t *testing.T) { ciphertest.RunReplays(t, streams) })
		t.Run("packet replays", func(t *testing.T) { ciphertest.RunPacketReplays(t, packets) })
	}
}
