// Package aead is the engine of the classic AEAD methods of Shadowsocks
// (SIP004): any cipher.AEAD becomes a method by a Spec. Salts, subkeys, chunks
// and the refusal of replays come with it.
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
	Method  string   // the name that a file gives as kind
	Aliases []string // other names for it
	KeySize int      // of the key and of a subkey, 1 to 32 bytes; the salt is as long
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
	_ core.About `help:"an AEAD method: streams and datagrams under a password, authenticated, replays refused"`
	option.Password
	users.Options
	replay.File
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

// Register adds the method to the ciphers of reg. It panics if the Spec is no
// method: that is a mistake in the program.
func Register(reg *core.Registry, s Spec) {
	if err := s.check(); err != nil {
		panic(fmt.Sprintf("aead: %s: %v", s.Method, err))
	}
	core.Add(&reg.Cipher, s.Method, s.build, s.Aliases...)
}

// build makes a Cipher of the options.
func (s Spec) build(env core.Env, o Options) (core.Cipher, error) {
	list, err := users.Open(env, o.Options)
	if err != nil {
		return nil, err
	}
	if n := weakest(list.Users()); n > 0 {
		env.Log.Warn("short passwords of users", "users", n, "advice", "make one with: umbra keygen "+s.Method)
	}
	var k []byte
	if o.Password.Given() || !o.Options.Given() {
		password, err := o.Read()
		if err != nil {
			return nil, err
		}
		if len(password) < weakPassword {
			env.Log.Warn("short password", "bytes", len(password), "advice", "make one with: umbra keygen "+s.Method)
		}
		k = key.FromPassword(password.Reveal(), s.KeySize)
	}
	var r *roll
	if o.Options.Given() {
		if r, err = s.newRoll(list.Users()); err != nil {
			return nil, &core.OptionError{Key: o.Options.Key(), Err: err}
		}
	}
	c, err := s.newCipher(k, r)
	if err != nil {
		return nil, err
	}
	c.list = list
	core.Keep(env, func(old *replay.Salts) *replay.Salts {
		if old == nil {
			old = replay.NewSalts(rememberedSalts)
		}
		c.salts = old
		return old
	})
	core.Keep(env, func(old *memory) *memory {
		if old == nil {
			old = newMemory()
		}
		if r != nil {
			r.take(list.Users())
		}
		c.remember(old)
		return old
	})
	c.journal, err = replay.OpenJournal(env, o.File, func(r replay.Record) { c.salts.Add(r.Data) })
	return c, err
}

// New returns the Cipher of a method with a key of s.KeySize bytes. salts is
// what a server has seen.
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

// newCipher returns the Cipher of a client's key and a server's users; one of them
// may be nil. It needs salts and a memory before it is used.
func (s Spec) newCipher(k []byte, r *roll) (*Cipher, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Method, err)
	}
	c := &Cipher{spec: s, turns: newTurns(), secret: k}
	if k != nil {
		c.own = newUser(s, "", k)
	}
	if r != nil {
		c.roll.Store(r)
	}
	if c.secret == nil {
		c.secret = r.serverKey()
	}
	c.patience = ending.Patience(c)
	return c, nil
}

// check returns why s is no method. It tries what s makes on a key of zeros, so
// that making it later does not fail.
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
