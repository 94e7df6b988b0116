package ss

import (
	"bytes"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/aead2022"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
)

// newCipher returns the cipher of both roles that tests of one method use.
func newCipher(t testing.TB) *aead.Cipher { return newClassic(t, aead.Specs()[2]) }

func newClassic(t testing.TB, s aead.Spec) *aead.Cipher {
	t.Helper()
	c, err := aead.New(s, key.FromPassword("correct horse battery staple", s.KeySize), replay.NewSalts(1<<10))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// new2022 returns a cipher of the 2022 edition, with the user alice if it is told.
func new2022(t testing.TB, s aead2022.Spec, alice bool) core.Cipher {
	t.Helper()
	k := aead2022.Keys{PSKs: [][]byte{bytes.Repeat([]byte{1}, s.KeySize)}}
	if alice {
		psk := bytes.Repeat([]byte{2}, s.KeySize)
		k.PSKs = append(k.PSKs, psk)
		k.Users = []aead2022.User{{Name: "alice", PSK: psk}}
	}
	c, err := aead2022.New(s, k, aead2022.NewSalts())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// method is one of those that tell forged bytes from true ones.
type method struct {
	name   string
	cipher func(testing.TB) core.Cipher // a fresh one, in both roles
}

func methods(t testing.TB) (all []method) {
	t.Helper()
	for _, s := range aead.Specs() {
		all = append(all, method{s.Method, func(t testing.TB) core.Cipher { return newClassic(t, s) }})
	}
	for _, s := range aead2022.Specs() {
		all = append(all, method{s.Method, func(t testing.TB) core.Cipher { return new2022(t, s, false) }})
		if s.Block != nil {
			all = append(all, method{s.Method + " with users", func(t testing.TB) core.Cipher { return new2022(t, s, true) }})
		}
	}
	return all
}
