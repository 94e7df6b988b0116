// Package aead implements the AEAD methods of Shadowsocks from before 2022 (SIP004). A
// Spec turns any cipher.AEAD into a method, with salts, subkeys, chunks and replay
// protection.
package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/option"
)

// Spec describes a method.
type Spec struct {
	Method  string   // the kind in the configuration
	Aliases []string // other names of the kind
	KeySize int      // size of key, subkey and salt, 1 to 32 bytes
	// New returns the AEAD of a subkey. Its tag is 16 bytes, its nonce 8 to 24.
	New func(subkey []byte) (cipher.AEAD, error)
}

// Specs returns the methods of SIP004 and xchacha20-ietf-poly1305.
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

// Limits of the nonce size in bytes. The nonce counts messages, and a shorter one could
// wrap around.
const (
	minNonce = 8
	maxNonce = 24
)

// Options are the keys of a [cipher.x] table.
type Options struct {
	_ core.About `help:"an AEAD method: streams and datagrams, encrypted and authenticated with a password; refuses replays"`
	option.Password
	users.Options
	replay.File
}

// weakPassword is the length in bytes below which a password causes a warning: it can be
// guessed offline from one recorded packet, because the key derivation is fast.
const weakPassword = 12

// rememberedPackets is the minimum number of datagrams that a server remembers, received
// and sent. At the limit they take 8 MiB.
const rememberedPackets = 1 << 18

// Register adds the method to the ciphers of reg. It panics if s is invalid, which is a
// mistake in the program.
func Register(reg *core.Registry, s Spec) {
	if err := s.check(); err != nil {
		panic(fmt.Sprintf("aead: %s: %v", s.Method, err))
	}
	core.Add(&reg.Cipher, s.Method, s.build, s.Aliases...)
}

// build creates a Cipher from the options.
func (s Spec) build(env core.Env, o Options) (core.Cipher, error) {
	list, err := users.Open(env, o.Options)
	if err != nil {
		return nil, err
	}
	if n := weakest(list.Users()); n > 0 {
		env.Log.Warn("short passwords of users", "users", n, "advice", "generate one with: umbra keygen "+s.Method)
	}
	var k []byte
	if o.Password.Given() || !o.Options.Given() {
		password, err := o.Read(env.Log)
		if err != nil {
			return nil, err
		}
		if len(password) < weakPassword {
			env.Log.Warn("short password", "bytes", len(password), "advice", "generate one with: umbra keygen "+s.Method)
		}
		k = key.FromPassword(password.Reveal(), s.KeySize)
	}
	var r *userTable
	if o.Options.Given() {
		if r, err = s.table(list, list.Users()); err != nil {
			return nil, &core.OptionError{Key: o.Options.Key(), Err: err}
		}
	}
	c, err := s.newCipher(k, r)
	if err != nil {
		return nil, err
	}
	c.list, c.log, c.name = list, env.Log, env.Name
	replay.KeepSalts(env, func(kept *replay.Salts) { c.salts = kept })
	core.Keep(env, func(old *memory) *memory {
		if old == nil {
			old = newMemory()
		}
		c.remember(old)
		return old
	})
	c.journal, err = replay.OpenJournal(env, o.File, func(r replay.Record) { c.salts.Add(r.Data) })
	return c, err
}

// New returns the Cipher of a method with a key of s.KeySize bytes. salts is the set of
// salts that the server has received.
func New(s Spec, k []byte, salts *replay.Salts) (*Cipher, error) {
	if len(k) != s.KeySize {
		return nil, fmt.Errorf("%s: key of %d bytes, want %d", s.Method, len(k), s.KeySize)
	}
	c, err := s.newCipher(k, nil)
	if err != nil {
		return nil, err
	}
	c.salts = salts
	c.remember(newMemory())
	return c, nil
}

// newCipher returns a Cipher with the key k of a client and the users r of a server; one
// of them may be nil. The Cipher needs salts and a memory before it is used.
func (s Spec) newCipher(k []byte, r *userTable) (*Cipher, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Method, err)
	}
	c := &Cipher{name: s.Method, spec: s, searches: newSearches(), secret: k}
	if k != nil {
		c.own = newUser(s, users.User{}, k)
	}
	if r != nil {
		c.users.Store(serve(r))
	}
	if c.secret == nil {
		c.secret = r.serverKey()
	}
	c.patience = ending.Patience(c)
	return c, nil
}

// check returns an error if s is invalid. It calls s.New with a key of zeros, so that
// later calls do not fail.
func (s Spec) check() error {
	if s.New == nil {
		return errors.New("no New")
	}
	if s.KeySize < 1 || s.KeySize > replay.MaxSalt {
		return fmt.Errorf("key size %d, want 1 to %d", s.KeySize, replay.MaxSalt)
	}
	probe, err := s.New(make([]byte, s.KeySize))
	if err != nil {
		return err
	}
	if n := probe.NonceSize(); probe.Overhead() != tagSize || n < minNonce || n > maxNonce {
		return fmt.Errorf("tag of %d bytes and nonce of %d, want %d and %d to %d", probe.Overhead(), n, tagSize, minNonce, maxNonce)
	}
	return nil
}
