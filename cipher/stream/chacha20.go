package stream

import (
	"crypto/cipher"
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
)

// shortCounter is the number of bytes of a 32-bit counter of blocks of 64 bytes.
const shortCounter = 64 << 32

// newChaCha20IETF is ChaCha20 of RFC 8439: a nonce of 12 bytes and a counter of 32 bits.
func newChaCha20IETF(key []byte) (Start, error) {
	return func(iv []byte, _ Operation) (cipher.Stream, error) { return chacha20.NewUnauthenticatedCipher(key, iv) }, nil
}

// newChaCha20 is the original ChaCha20: a nonce of 8 bytes and a counter of 64 bits.
func newChaCha20(key []byte) (Start, error) {
	return func(iv []byte, _ Operation) (cipher.Stream, error) { return longChaCha20(key, iv, 0) }, nil
}

// newXChaCha20 is libsodium's XChaCha20: a nonce of 24 bytes, of which the first 16 are
// hashed into the key, and the counter of newChaCha20.
func newXChaCha20(key []byte) (Start, error) {
	return func(iv []byte, _ Operation) (cipher.Stream, error) {
		const hashed = 16
		subkey, err := chacha20.HChaCha20(key, iv[:hashed])
		if err != nil {
			return nil, err
		}
		return longChaCha20(subkey, iv[hashed:], 0)
	}, nil
}

// longCounter is ChaCha20 with a counter of 64 bits. The high half of the counter is at the
// position of the first 4 nonce bytes of RFC 8439. So longCounter is the cipher of the RFC
// with another nonce each time the low half wraps around.
type longCounter struct {
	key, nonce []byte
	high       uint32 // of the counter
	low        *chacha20.Cipher
	left       uint64 // bytes until the low half wraps around
}

// longChaCha20 returns ChaCha20 starting at a block. It keeps key.
func longChaCha20(key, nonce []byte, block uint64) (*longCounter, error) {
	const size = 8
	c := &longCounter{key: key, nonce: append(make([]byte, 0, size), nonce...), high: uint32(block >> 32)}
	if err := c.turn(); err != nil {
		return nil, err
	}
	c.low.SetCounter(uint32(block))
	c.left = shortCounter - 64*uint64(uint32(block))
	return c, nil
}

// turn starts the keystream of the current high half.
func (c *longCounter) turn() error {
	nonce := binary.LittleEndian.AppendUint32(make([]byte, 0, chacha20.NonceSize), c.high)
	var err error
	c.low, err = chacha20.NewUnauthenticatedCipher(c.key, append(nonce, c.nonce...))
	c.left = shortCounter
	return err
}

func (c *longCounter) XORKeyStream(dst, src []byte) {
	for uint64(len(src)) > c.left {
		n := int(c.left)
		c.low.XORKeyStream(dst[:n], src[:n])
		dst, src = dst[n:], src[n:]
		c.high++
		_ = c.turn() // only fails for wrong sizes, which the first call has checked
	}
	c.low.XORKeyStream(dst[:len(src)], src)
	c.left -= uint64(len(src))
}
