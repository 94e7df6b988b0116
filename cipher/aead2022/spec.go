// Package aead2022 implements the Shadowsocks 2022 methods (SIP022), including the
// identity headers by which a server distinguishes users (SIP023): streams and datagrams,
// in both roles.
package aead2022

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	tagSize   = 16
	nonceSize = 12
	longNonce = 24
	blockSize = aes.BlockSize
)

// Spec describes a method. Exactly one of Block and Long is set; it selects the form of
// datagrams in SIP022.
type Spec struct {
	Method  string   // the kind in the configuration
	Aliases []string // other names of the kind
	KeySize int      // of keys, subkeys and salts, in bytes: 16 or 32
	// New returns the AEAD of a subkey. Its tag is 16 bytes, its nonce 12.
	New func(subkey []byte) (cipher.AEAD, error)
	// Block returns the block cipher of a key, with blocks of 16 bytes, for identity
	// headers and the separate headers of datagrams.
	Block func(key []byte) (cipher.Block, error)
	// Long returns the AEAD of a key with a nonce of 24 bytes, which protects complete
	// datagrams. A method with Long has no identity headers.
	Long func(key []byte) (cipher.AEAD, error)
}

// Specs returns the methods of SIP022.
func Specs() []Spec {
	return []Spec{
		{Method: "2022-blake3-aes-128-gcm", KeySize: 16, New: newGCM, Block: aes.NewCipher},
		{Method: "2022-blake3-aes-256-gcm", KeySize: 32, New: newGCM, Block: aes.NewCipher},
		{Method: "2022-blake3-chacha20-poly1305", KeySize: 32, New: chacha20poly1305.New, Long: chacha20poly1305.NewX},
	}
}

func newGCM(subkey []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(subkey)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// session returns the AEAD of the subkey of psk and salt.
func (s Spec) session(psk, salt []byte) (cipher.AEAD, error) { return s.New(sessionSubkey(psk, salt)) }

// check returns an error if s is invalid. It calls the functions of s with a key of zeros,
// so that later calls do not fail.
func (s Spec) check() error {
	if s.KeySize != 16 && s.KeySize != 32 {
		return fmt.Errorf("key size %d, want 16 or 32", s.KeySize)
	}
	if (s.Block == nil) == (s.Long == nil) {
		return errors.New("want either Block or Long")
	}
	key := make([]byte, s.KeySize)
	if err := checkAEAD(s.New, key, nonceSize); err != nil {
		return err
	}
	if s.Long != nil {
		return checkAEAD(s.Long, key, longNonce)
	}
	block, err := s.Block(key)
	if err == nil && block.BlockSize() != blockSize {
		err = fmt.Errorf("blocks of %d bytes, want %d", block.BlockSize(), blockSize)
	}
	return err
}

func checkAEAD(makeAEAD func([]byte) (cipher.AEAD, error), key []byte, nonce int) error {
	aead, err := makeAEAD(key)
	if err != nil {
		return err
	}
	if aead.Overhead() != tagSize || aead.NonceSize() != nonce {
		return fmt.Errorf("tag of %d bytes and nonce of %d, want %d and %d", aead.Overhead(), aead.NonceSize(), tagSize, nonce)
	}
	return nil
}
