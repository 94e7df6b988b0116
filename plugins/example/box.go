package secretbox

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/crypto/nacl/secretbox"
)

// Sizes of NaCl's secretbox in bytes.
const (
	keySize   = 32
	nonceSize = 24
)

// box implements cipher.AEAD by the functions of secretbox. A sealed message begins with
// its tag. Additional data is not supported: the framing of umbra has none.
type box struct{ key [keySize]byte }

var _ cipher.AEAD = (*box)(nil)

func newBox(key []byte) (*box, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("key of %d bytes, want %d", len(key), keySize)
	}
	return &box{key: [keySize]byte(key)}, nil
}

// NonceSize returns 24.
func (*box) NonceSize() int { return nonceSize }

// Overhead returns 16.
func (*box) Overhead() int { return secretbox.Overhead }

// Seal appends the sealed form of plain to dst. It panics, as every cipher.AEAD does, on
// arguments that only a programming error can cause.
func (b *box) Seal(dst, nonce, plain, additional []byte) []byte {
	if len(additional) > 0 {
		panic("secretbox: additional data can't be authenticated")
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.nonce = [nonceSize]byte(nonce)
	s.bytes = secretbox.Seal(s.bytes[:0], plain, &s.nonce, &b.key)
	return append(dst, s.bytes...)
}

// errOpen gives no further cause, which could help an attacker.
var errOpen = errors.New("secretbox: message authentication failed")

// Open appends the plaintext of sealed to dst.
func (b *box) Open(dst, nonce, sealed, additional []byte) ([]byte, error) {
	if len(additional) > 0 {
		return nil, errOpen
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.nonce = [nonceSize]byte(nonce)
	plain, ok := secretbox.Open(s.bytes[:0], sealed, &s.nonce, &b.key)
	if !ok {
		return nil, errOpen
	}
	s.bytes = plain
	return append(dst, plain...), nil
}

// scratch is the memory of one call. A cipher.AEAD works in place; secretbox requires
// separate memory for its output.
type scratch struct {
	nonce [nonceSize]byte
	bytes []byte
}

// scratches is a pool, so that an idle connection holds no scratch and a busy one
// allocates none. A pooled scratch contains sealed bytes, or plaintext that was returned
// to the caller.
var scratches = sync.Pool{New: func() any { return new(scratch) }}
