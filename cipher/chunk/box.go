// Package chunk is the framing that Shadowsocks AEAD methods share: a stream of
// bytes as chunks, each a sealed length and a sealed payload.
//
//	+-----------------+-----+----------------+-----+
//	| length, 2B be   | tag | payload        | tag |
//	+-----------------+-----+----------------+-----+
//
// What differs between methods is what stands before the first payload (salt,
// identity and other headers) and the largest payload. See SIP004 §2 and
// SIP022 §3.1.2.
package chunk

import (
	"crypto/cipher"
)

// maxNonce is the longest nonce in bytes (XChaCha20-Poly1305).
const maxNonce = 24

// Box seals or opens the messages of one direction in order. The nonce counts
// them: little endian, from 0.
type Box struct {
	aead  cipher.AEAD
	nonce [maxNonce]byte
}

// NewBox returns a Box that begins with nonce 0.
func NewBox(aead cipher.AEAD) Box { return Box{aead: aead} }

// Overhead returns the length of a tag in bytes.
func (b *Box) Overhead() int { return b.aead.Overhead() }

// Seal appends the sealed form of plain to dst. They may share memory if plain
// stands where its sealed form will.
func (b *Box) Seal(dst, plain []byte) []byte {
	out := b.aead.Seal(dst, b.nonce[:b.aead.NonceSize()], plain, nil)
	b.count()
	return out
}

// Open appends the plaintext of sealed to dst, under the rule of Seal. If it
// fails, the nonce stays, and sealed is unchanged only if dst is other memory.
func (b *Box) Open(dst, sealed []byte) ([]byte, error) {
	out, err := b.aead.Open(dst, b.nonce[:b.aead.NonceSize()], sealed, nil)
	if err == nil {
		b.count()
	}
	return out, err
}

// count adds one to the nonce.
func (b *Box) count() {
	for i := range b.nonce {
		if b.nonce[i]++; b.nonce[i] != 0 {
			return
		}
	}
}
