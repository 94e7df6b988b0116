package stream

import (
	"crypto/cipher"
	"fmt"
	"math"

	"github.com/umbra-proxy/umbra/core"
)

// keystream encrypts or decrypts one direction of a stream, or one datagram. It may be
// used by one goroutine at a time.
type keystream struct {
	cipher cipher.Stream // nil for no encryption
	limit  uint64        // bytes allowed under the IV
	left   uint64        // bytes remaining
}

// begin returns the keystream of an IV.
func (c *Cipher) begin(iv []byte, op Operation) (keystream, error) {
	k := keystream{limit: c.spec.Limit}
	if k.limit == 0 {
		k.limit = math.MaxUint64
	}
	k.left = k.limit
	if c.start == nil {
		return k, nil
	}
	var err error
	k.cipher, err = c.start(iv, op)
	return k, err
}

// apply encrypts or decrypts src into dst, which must have room for it and must be the same
// memory or not overlap. It returns an ErrMalformed, and changes nothing, if that would
// exceed the limit of bytes under one IV.
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
