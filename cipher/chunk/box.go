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
	"encoding/binary"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
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

// SealLength puts a sealed length at the beginning of dst, which has room for
// it, and returns its size in bytes.
func (b *Box) SealLength(dst []byte, length int) int {
	binary.BigEndian.PutUint16(dst, uint16(length))
	return len(b.Seal(dst[:0], dst[:lengthSize]))
}

// SealChunk puts a chunk at off in dst, which has room for it, and returns its
// end. The payload may stand already where it belongs, behind the length.
func (b *Box) SealChunk(dst []byte, off int, payload []byte) int {
	off += b.SealLength(dst[off:], len(payload))
	return off + len(b.Seal(dst[off:off], payload))
}

// FillChunk appends as much of payload to plain, the beginning of a chunk's plaintext,
// as a chunk of at most largest bytes and the memory behind plain hold with the tag.
func (b *Box) FillChunk(plain, payload []byte, largest int) (filled, rest []byte) {
	n := min(len(payload), largest-len(plain), cap(plain)-len(plain)-b.Overhead())
	return append(plain, payload[:n]...), payload[n:]
}

// SealChunks puts as many chunks with payload at off in dst as fit whole, and returns
// their end and what did not fit.
func (b *Box) SealChunks(dst []byte, off int, payload []byte, largest int) (end int, rest []byte) {
	around := lengthSize + 2*b.Overhead()
	for len(payload) > 0 && off+around < len(dst) {
		n := min(len(payload), largest, len(dst)-off-around)
		off, payload = b.SealChunk(dst, off, payload[:n]), payload[n:]
	}
	return off, payload
}

// errLength is one error for all: most of those who may have sealed a length are tried in vain.
var errLength = fmt.Errorf("length of a chunk: %w", core.ErrAuth)

// OpenLength opens a sealed length with dst for scratch, under the rule of Open.
// Its error is an ErrAuth.
func (b *Box) OpenLength(dst, sealed []byte) (int, error) {
	plain, err := b.Open(dst, sealed)
	if err != nil {
		return 0, errLength
	}
	return int(binary.BigEndian.Uint16(plain)), nil
}

// OpenPayload is Open for a payload. Its error is an ErrAuth.
func (b *Box) OpenPayload(dst, sealed []byte) ([]byte, error) {
	plain, err := b.Open(dst, sealed)
	if err != nil {
		return nil, fmt.Errorf("payload of %d bytes: %w", len(sealed)-b.Overhead(), core.ErrAuth)
	}
	return plain, nil
}

// count adds one to the nonce.
func (b *Box) count() {
	for i := range b.nonce {
		if b.nonce[i]++; b.nonce[i] != 0 {
			return
		}
	}
}
