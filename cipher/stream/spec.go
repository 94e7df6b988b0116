// Package stream implements the methods of Shadowsocks from before AEAD. A Spec turns any
// cipher.Stream into a method, with IVs, addresses, datagrams and replay protection.
// Nothing is authenticated, so every method of this package requires the option insecure =
// true.
package stream

import (
	"crypto/cipher"
	"fmt"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
)

// Spec describes a method.
type Spec struct {
	Method  string   // the kind in the configuration
	Aliases []string // other names of the kind
	// KeySize is the size of the key in bytes. With 0 the key is the password itself.
	KeySize int
	// IVSize is 8 to 32 bytes, or 0 for no IV. A method without an IV refuses no replays,
	// and must not be an additive stream cipher, whose keystream would repeat.
	IVSize int
	// Limit is the maximum number of bytes under one IV; 0 for no limit.
	Limit uint64
	// New returns the Start of a key. It is called once per key. A nil New means no
	// encryption: the method then needs no password.
	New func(key []byte) (Start, error)
}

// Start returns the cipher for one direction of a stream, or for one datagram. It must not
// keep iv, and is called concurrently. dst and src of the cipher.Stream are the same memory
// or do not overlap.
type Start func(iv []byte, op Operation) (cipher.Stream, error)

// Operation selects encryption or decryption. Most ciphers use the same function for both.
type Operation bool

// The values of Operation.
const (
	Encrypt Operation = true
	Decrypt Operation = false
)

// minIV is the minimum IV size in bytes: shorter random IVs repeat too soon.
const minIV = 8

// Specs returns the methods of the Python original and shadowsocks-libev that are still in
// use, and those of libsodium with a longer nonce.
func Specs() []Spec {
	return []Spec{
		{Method: "aes-128-cfb", KeySize: 16, IVSize: 16, New: overAES(newCFB)},
		{Method: "aes-128-cfb8", KeySize: 16, IVSize: 16, New: overAES(newCFB8)},
		{Method: "aes-128-ctr", KeySize: 16, IVSize: 16, New: overAES(newCTR)},
		{Method: "aes-128-ofb", KeySize: 16, IVSize: 16, New: overAES(newOFB)},
		{Method: "aes-192-cfb", KeySize: 24, IVSize: 16, New: overAES(newCFB)},
		{Method: "aes-192-cfb8", KeySize: 24, IVSize: 16, New: overAES(newCFB8)},
		{Method: "aes-192-ctr", KeySize: 24, IVSize: 16, New: overAES(newCTR)},
		{Method: "aes-192-ofb", KeySize: 24, IVSize: 16, New: overAES(newOFB)},
		{Method: "aes-256-cfb", KeySize: 32, IVSize: 16, New: overAES(newCFB)},
		{Method: "aes-256-cfb8", KeySize: 32, IVSize: 16, New: overAES(newCFB8)},
		{Method: "aes-256-ctr", KeySize: 32, IVSize: 16, New: overAES(newCTR)},
		{Method: "aes-256-ofb", KeySize: 32, IVSize: 16, New: overAES(newOFB)},
		{Method: "chacha20", KeySize: 32, IVSize: 8, New: newChaCha20},
		{Method: "chacha20-ietf", KeySize: 32, IVSize: 12, Limit: shortCounter, New: newChaCha20IETF},
		{Method: "none", Aliases: []string{"plain"}},
		{Method: "rc4-md5", KeySize: 16, IVSize: 16, New: newRC4},
		{Method: "salsa20", KeySize: 32, IVSize: 8, New: newSalsa20},
		{Method: "table", New: newTable},
		{Method: "xchacha20", KeySize: 32, IVSize: 24, New: newXChaCha20},
	}
}

// key returns the key of a password.
func (s Spec) key(password string) []byte {
	if s.KeySize == 0 {
		return []byte(password)
	}
	return key.FromPassword(password, s.KeySize)
}

// check returns an error if s is invalid or k is not a key for s.
func (s Spec) check(k []byte) error {
	switch {
	case s.KeySize < 0:
		return fmt.Errorf("key size %d, want 0 or more", s.KeySize)
	case s.KeySize > 0 && len(k) != s.KeySize:
		return fmt.Errorf("key of %d bytes, want %d", len(k), s.KeySize)
	case s.IVSize != 0 && (s.IVSize < minIV || s.IVSize > replay.MaxSalt):
		return fmt.Errorf("IV of %d bytes, want none or %d to %d", s.IVSize, minIV, replay.MaxSalt)
	case s.New == nil && (s.KeySize != 0 || s.IVSize != 0):
		return fmt.Errorf("key of %d bytes and IV of %d without New, want none", s.KeySize, s.IVSize)
	}
	return nil
}

// New returns the Cipher of a method with a key, which has s.KeySize bytes unless KeySize
// is 0. salts is the set of IVs that the server has received; a method without IV does not
// use it.
func New(s Spec, k []byte, salts *replay.Salts) (*Cipher, error) {
	c := &Cipher{spec: s, key: k, salts: salts}
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Method, err)
	}
	c.packets = &packets{cipher: c, seen: replay.NewDigests(rememberedPackets)}
	return c, nil
}

// prepare checks the method, and calls its functions once so that later calls do not fail.
func (c *Cipher) prepare() error {
	if err := c.spec.check(c.key); err != nil || c.spec.New == nil {
		return err
	}
	var err error
	if c.start, err = c.spec.New(c.key); err != nil {
		return err
	}
	for _, op := range []Operation{Encrypt, Decrypt} {
		if _, err := c.start(make([]byte, c.spec.IVSize), op); err != nil {
			return err
		}
	}
	return nil
}

var _ core.Cipher = (*Cipher)(nil)
