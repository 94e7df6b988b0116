package stream

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
)

// overAES returns the New of a Spec for a mode of AES. The key schedule is computed once.
func overAES(mode func(block cipher.Block, iv []byte, op Operation) cipher.Stream) func([]byte) (Start, error) {
	return func(key []byte) (Start, error) {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return func(iv []byte, op Operation) (cipher.Stream, error) { return mode(block, iv, op), nil }, nil
	}
}

func newCTR(block cipher.Block, iv []byte, _ Operation) cipher.Stream {
	return cipher.NewCTR(block, iv)
}

// newCFB returns CFB with segments of 128 bits.
func newCFB(block cipher.Block, iv []byte, op Operation) cipher.Stream {
	if op == Encrypt {
		return cipher.NewCFBEncrypter(block, iv) //lint:ignore SA1019 the peers support nothing better
	}
	return cipher.NewCFBDecrypter(block, iv) //lint:ignore SA1019 as above
}

func newOFB(block cipher.Block, iv []byte, _ Operation) cipher.Stream {
	return cipher.NewOFB(block, iv) //lint:ignore SA1019 the peers support nothing better
}

// newCFB8 returns CFB with segments of 8 bits.
func newCFB8(block cipher.Block, iv []byte, op Operation) cipher.Stream {
	c := &cfb8{block: block, op: op}
	copy(c.last[:], iv)
	return c
}

// cfb8 is CFB with segments of 8 bits: each byte is combined with the first byte of the
// encryption of the last 16 bytes of ciphertext, which start with the IV. See NIST SP
// 800-38A §6.3.
type cfb8 struct {
	block cipher.Block
	op    Operation
	last  [aes.BlockSize]byte
	out   [aes.BlockSize]byte
}

func (c *cfb8) XORKeyStream(dst, src []byte) {
	for i, b := range src {
		c.block.Encrypt(c.out[:], c.last[:])
		sum := b ^ c.out[0]
		copy(c.last[:], c.last[1:])
		if c.op == Encrypt {
			b = sum
		}
		c.last[len(c.last)-1] = b
		dst[i] = sum
	}
}

// newRC4 is RC4 with the MD5 of key and IV as its key.
func newRC4(key []byte) (Start, error) {
	return func(iv []byte, _ Operation) (cipher.Stream, error) {
		sum := md5.Sum(append(append(make([]byte, 0, 64), key...), iv...))
		return rc4.NewCipher(sum[:])
	}, nil
}
