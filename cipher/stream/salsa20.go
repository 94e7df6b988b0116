package stream

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/salsa20/salsa" //lint:ignore SA1019 a stream needs access to the counter
)

const salsaBlock = 64

// newSalsa20 is Salsa20 with a nonce of 8 bytes and a counter of 64 bits.
func newSalsa20(key []byte) (Start, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("key of %d bytes, want 32", len(key))
	}
	return func(iv []byte, _ Operation) (cipher.Stream, error) {
		s := &salsa20{key: (*[32]byte)(key)}
		copy(s.counter[:8], iv)
		return s, nil
	}, nil
}

// salsa20 is a keystream that continues where the last call stopped, also within a block.
type salsa20 struct {
	key     *[32]byte
	counter [16]byte // the nonce, then the number of the next block
	block   [salsaBlock]byte
	used    int // used bytes of block; 0 if block is empty
}

func (s *salsa20) XORKeyStream(dst, src []byte) {
	if s.used > 0 {
		n := subtle.XORBytes(dst, src, s.block[s.used:])
		s.used = (s.used + n) % salsaBlock
		dst, src = dst[n:], src[n:]
	}
	if n := len(src) / salsaBlock * salsaBlock; n > 0 {
		salsa.XORKeyStream(dst[:n], src[:n], &s.counter, s.key)
		s.count(uint64(n / salsaBlock))
		dst, src = dst[n:], src[n:]
	}
	if len(src) > 0 {
		s.block = [salsaBlock]byte{}
		salsa.XORKeyStream(s.block[:], s.block[:], &s.counter, s.key)
		s.count(1)
		s.used = subtle.XORBytes(dst, src, s.block[:])
	}
}

// count adds blocks to the counter, which the library does not advance.
func (s *salsa20) count(blocks uint64) {
	next := binary.LittleEndian.Uint64(s.counter[8:]) + blocks
	binary.LittleEndian.PutUint64(s.counter[8:], next)
}
