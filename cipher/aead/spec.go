// Package aead is the engine of the classic AEAD methods of Shadowsocks
// (SIP004): any cipher.AEAD becomes a method by a Spec. Salts, subkeys, chunks
// and the refusal of replays come with it.
package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Spec describes a method.
type Spec struct {
	Method  string   // the name that a file gives as kind
	Aliases []string // other names for it
	KeySize int      // of the key and of a subkey, in bytes; the salt is as long
	// New returns the AEAD of a subkey. Its tag is 16 bytes, its nonce 8 to 24.
	New func(subkey []byte) (cipher.AEAD, error)
}

// Specs returns the methods of SIP004 and the one with XChaCha20.
func Specs() []Spec {
	return []Spec{
		{Method: "aes-128-gcm", Aliases: []string{"aead_aes_128_gcm"}, KeySize: 16, New: newGCM},
		{Method: "aes-192-gcm", Aliases: []string{"aead_aes_192_gcm"}, KeySize: 24, New: newGCM},
		{Method: "aes-256-gcm", Aliases: []string{"aead_aes_256_gcm"}, KeySize: 32, New: newGCM},
		{Method: "chacha20-ietf-poly1305", Aliases: []string{"chacha20-poly1305", "aead_chacha20_poly1305"}, KeySize: 32, New: chacha20poly1305.New},
		{Method: "xchacha20-ietf-poly1305", Aliases: []string{"xchacha20-poly1305"}, KeySize: 32, New: chacha20poly1305.NewX},
	}
}

func newGCM(subkey []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(subkey)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// The nonce counts messages: one of fewer bytes could come around.
const (
	minNonce = 8
	maxNonce = 24
)

// Options are the keys of a [cipher.x] table.
type Options struct {
	_ core.About `help:"a SIP004 method: streams and datagrams under a password, authenticated, replays refused"`
	option.Password
}

// weakPassword is the length in bytes below which a password is warned of: it
// can be guessed offline from one recorded packet, because the key derivation is
// fast.
const weakPassword = 12

// rememberedSalts is how many salts a server remembers at the least. Each
// connection has two. At the bound they take about 20 MiB.
const rememberedSalts = 1 << 17

// rememberedPackets is how many datagrams a server remembers at the least, those
// that it sent itself among them. At the bound they take 8 MiB.
const rememberedPackets = 1 << 18

// Register adds the method to the ciphers of reg.
func Register(reg *core.Registry, s Spec) {
	core.Add(&reg.Cipher, s.Method, s.build, s.Aliases...)
}

// build makes a Cipher of the options.
func (s Spec) build(env core.Env, o Options) (core.Cipher, error) {
	password, err := o.Read()
	if err != nil {
		return nil, err
	}
	if len(password) < weakPassword {
		env.Log.Warn("short password", "bytes", len(password), "advice", "make one with: umbra keygen "+s.Method)
	}
	salts, err := core.Keep(env, func(old *replay.Salts) (*replay.Salts, error) {
		if old != nil {
			return old, nil
		}
		return replay.NewSalts(rememberedSalts), nil
	})
	if err != nil {
		return nil, err
	}
	c, err := New(s, key.FromPassword(password.Reveal(), s.KeySize), salts)
	if err != nil {
		return nil, err
	}
	c.packets, err = core.Keep(env, func(old *packets) (*packets, error) {
		if old != nil && old.isFor(s.Method, c.key) {
			return old, nil
		}
		return c.packets, nil
	})
	return c, err
}

// New returns the Cipher of a method with a key of s.KeySize bytes. salts is
// what a server has seen.
func New(s Spec, k []byte, salts *replay.Salts) (*Cipher, error) {
	if s.KeySize < 1 || s.KeySize > replay.MaxSalt {
		return nil, fmt.Errorf("%s: key size %d, want 1 to %d", s.Method, s.KeySize, replay.MaxSalt)
	}
	if len(k) != s.KeySize {
		return nil, fmt.Errorf("%s: key of %d bytes, want %d", s.Method, len(k), s.KeySize)
	}
	probe, err := s.New(k)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Method, err)
	}
	if n := probe.NonceSize(); probe.Overhead() != tagSize || n < minNonce || n > maxNonce {
		return nil, fmt.Errorf("%s: tag of %d bytes and nonce of %d, want %d and %d to %d", s.Method, probe.Overhead(), n, tagSize, minNonce, maxNonce)
	}
	c := &Cipher{spec: s, key: k, salts: salts}
	c.patience = core.Patience(c)
	c.packets = &packets{cipher: c, seen: replay.NewDigests(rememberedPackets)}
	return c, nil
}
