// Package stream is the engine of the methods of Shadowsocks from before AEAD:
// any cipher.Stream becomes a method by a Spec. IVs, addresses, datagrams and the
// refusal of replays come with it. Nothing is authenticated, so every method of
// this package is off until its table says that it may be insecure.
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
	Method  string   // the name that a file gives as kind
	Aliases []string // other names for it
	// KeySize is that of the key in bytes. 0 stands for the password as it is.
	KeySize int
	// IVSize is 8 to 32 bytes. 0 stands for none: such a method refuses no replay,
	// and must not be one that adds a keystream, which would be the same each time.
	IVSize int
	// Limit is how many bytes may go under one IV. 0 stands for no limit.
	Limit uint64
	// New returns what begins under a key. It is called once for each. nil stands
	// for no encryption: the method then needs no password.
	New func(key []byte) (Start, error)
}

// Start returns what encrypts or decrypts one direction of a stream, or one
// datagram. It keeps no part of iv, and is called from several goroutines at once.
// The memory that the cipher.Stream gets is the same twice, or apart.
type Start func(iv []byte, way Way) (cipher.Stream, error)

// A Way is whether bytes are encrypted or decrypted. Most ciphers do the same for
// both.
type Way bool

// The two ways.
const (
	Encrypt Way = true
	Decrypt Way = false
)

// minIV is the shortest IV in bytes: a shorter one comes again too soon.
const minIV = 8

// Specs returns the methods of the Python original and shadowsocks-libev that
// are still met, and those of libsodium with a longer nonce.
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

// key returns the method's key of a password.
func (s Spec) key(password string) []byte {
	if s.KeySize == 0 {
		return []byte(password)
	}
	return key.FromPassword(password, s.KeySize)
}

// check returns what is wrong with a Spec and a key for it.
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

// New returns the Cipher of a method with a key, of s.KeySize bytes unless that is
// 0. salts is what a server has seen; a method without IV does not use it.
func New(s Spec, k []byte, salts *replay.Salts) (*Cipher, error) {
	c := &Cipher{spec: s, key: k, salts: salts}
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Method, err)
	}
	c.packets = &packets{cipher: c, seen: replay.NewDigests(rememberedPackets)}
	return c, nil
}

// prepare checks the method, and tries it.
func (c *Cipher) prepare() error {
	if err := c.spec.check(c.key); err != nil || c.spec.New == nil {
		return err
	}
	var err error
	if c.start, err = c.spec.New(c.key); err != nil {
		return err
	}
	for _, way := range []Way{Encrypt, Decrypt} {
		if _, err := c.start(make([]byte, c.spec.IVSize), way); err != nil {
			return err
		}
	}
	return nil
}

var _ core.Cipher = (*Cipher)(nil)
