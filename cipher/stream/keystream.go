package stream

import (
	"crypto/cipher"
	"fmt"
	"math"

	"github.com/umbra-proxy/umbra/core"
)

// keystream encrypts or decrypts one direction of a stream, or one datagram. One
// goroutine may use it at a time.
type keystream struct {
	cipher cipher.Stream // nil: the bytes stay as they are
	limit  uint64        // bytes
	left   uint64        // of them
}

// begin returns the keystream under an IV.
func (c *Cipher) begin(iv []byte, way Way) (keystream, error) {
	k := keystream{limit: c.spec.Limit}
	if k.limit == 0 {
		k.limit = math.MaxUint64
	}
	k.left = k.limit
	if c.start == nil {
		return k, nil
	}
	var err error
	k.cipher, err = c.start(iv, way)
	return k, err
}

// apply puts src encrypted or decrypted into dst, which has room for it and is
// either the same memory or apart. It returns an ErrMalformed, and does nothing,
// if that would be more than may go under one IV.
func (k *keystream) apply(dst, src []byte) error {
	if n := uint64(len(src)); n > k.left {
		return fmt.Errorf("%w: more than %d bytes under one IV", core.ErrMalformed, k.limit)
	}
	k.left -= uint64(len(src))
	if k.cipher == nil {
		copy(dst, src)
		return nil
	}
	if len(src) > 0 {
		k.cipher.XORKeyStream(dst, src)
	}
	return nil
}
