package secretbox_test

import (
	"testing"

	"example.net/secretbox"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// newCipher returns the method as a file would have it. It has seen nothing.
func newCipher(t testing.TB) core.PacketCipher {
	t.Helper()
	reg := new(core.Registry)
	secretbox.Register(reg)
	kind, ok := reg.Cipher.Lookup(secretbox.Method)
	if !ok {
		t.Fatalf("no cipher of kind %s", secretbox.Method)
	}
	c, err := kind.New(coretest.Env(t), &aead.Options{Password: option.Password{Password: "correct horse battery staple"}})
	if err != nil {
		t.Fatal(err)
	}
	return c.(core.PacketCipher)
}

func TestConformance(t *testing.T) {
	ciphertest.Run(t, func(t testing.TB) core.Cipher { return newCipher(t) })
	ciphertest.RunPackets(t, newCipher)
}

func TestKinds(t *testing.T) {
	reg := new(core.Registry)
	secretbox.Register(reg)
	if err := config.CheckKinds(reg); err != nil {
		t.Error(err)
	}
	if err := config.CheckDescriptions(reg); err != nil {
		t.Error(err)
	}
}
