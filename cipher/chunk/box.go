// Package chunk is the framing shared by Shadowsocks AEAD methods: a stream of bytes
// divided into chunks, each a sealed length and a sealed payload.
//
//	+-----------------+-----+----------------+-----+
//	| length, 2B be   | tag | payload        | tag |
//	+-----------------+-----+----------------+-----+
//
// Methods differ in the bytes before the first payload (salt, identity and other
// headers) and in the maximum payload. See SIP004 §2 and SIP022 §3.1.2.
package chunk

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// maxNonce is the maximum length of a nonce in bytes (XChaCha20-Poly1305).
const maxNonce = 24

// Box seals or opens the messages of one direction in order. The nonce is the number of
// the message: little endian, from 0.
type Box struct {
	aead  cipher.AEAD
	nonce [maxNonce]byte
}

// NewBox returns a Box with nonce 0.
func NewBox(aead cipher.AEAD) Box { return Box{aead: aead} }

// Overhead returns the length of a tag in bytes.
func (b *Box) Overhead() int { return b.aead.Overhead() }

// Seal appends the sealed form of plain to dst. They may overlap if plain starts at the
// position of the sealed bytes.
func (b *Box) Seal(dst, plain []byte) []byte {
	out := b.aead.Seal(dst, b.nonce[:b.aead.NonceSize()], plain, nil)
	b.count()
	return out
}

// Open appends the plaintext of sealed to dst, under the overlap rule of Seal. If
// opening fails, the nonce stays the same; sealed is then unchanged only if it does not
// overlap dst.
func (b *Box) Open(dst, sealed []byte) ([]byte, error) {
	out, err := b.aead.Open(dst, b.nonce[:b.aead.NonceSize()], sealed, nil)
	if err == nil {
		b.count()
	}
	return out, err
}

// SealLength writes a sealed length to the beginning of dst, which must have room for
// it, and returns its size in bytes.
func (b *Box) SealLength(dst []byte, length int) int {
	binary.BigEndian.PutUint16(dst, uint16(length))
	return len(b.Seal(dst[:0], dst[:lengthSize]))
}

// SealChunk writes a chunk to dst at off, which must have room for it, and returns the
// end of the chunk. payload may already be at its position in dst, after the length.
func (b *Box) SealChunk(dst []byte, off int, payload []byte) int {
	off += b.SealLength(dst[off:], len(payload))
	return off + len(b.Seal(dst[off:off], payload))
}

// FillChunk appends as much of payload to plain, the beginning of a chunk's plaintext,
// as fits a chunk of at most largest bytes and, with the tag, the capacity of plain.
func (b *Box) FillChunk(plain, payload []byte, largest int) (filled, rest []byte) {
	n := min(len(payload), largest-len(plain), cap(plain)-len(plain)-b.Overhead())
	return append(plain, payload[:n]...), payload[n:]
}

// SealChunks writes as many complete chunks of payload to dst at off as fit. It returns
// the end of the chunks and the rest of payload.
func (b *Box) SealChunks(dst []byte, off int, payload []byte, largest int) (end int, rest []byte) {
	around := lengthSize + 2*b.Overhead()
	for len(payload) > 0 && off+around < len(dst) {
		n := min(len(payload), largest, len(dst)-off-around)
		off, payload = b.SealChunk(dst, off, payload[:n]), payload[n:]
	}
	return off, payload
}

// errLength is allocated once: with many users most attempts to open a length fail.
var errLength = fmt.Errorf("length of a chunk: %w", core.ErrAuth)

// OpenLength opens a sealed length, using dst as scratch memory under the rule of Open.
// The error is an ErrAuth.
func (b *Box) OpenLength(dst, sealed []byte) (int, error) {
	plain, err := b.Open(dst, sealed)
	if err != nil {
		return 0, errLength
	}
	return int(binary.BigEndian.Uint16(plain)), nil
}

// OpenPayload is Open for a payload. The error is an ErrAuth.
func (b *Box) OpenPayload(dst, sealed []byte) ([]byte, error) {
	plain, err := b.Open(dst, sealed)
	if err != nil {
		return nil, fmt.Errorf("payload of %d bytes: %w", len(sealed)-b.Overhead(), core.ErrAuth)
	}
	return plain, nil
}

// count increments the nonce.
func (b *Box) count() {
	for i := range b.nonce {
		if b.nonce[i]++; b.nonce[i] != 0 {
			return
		}
	}
}
