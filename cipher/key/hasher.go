package key

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding"
	"encoding/binary"
	"hash"
)

const (
	// padSize is what SHA-1 adds to a message at the least: a bit and the length.
	padSize = 1 + 8
	// maxMessage is the longest message of a mac in bytes: with the padded key, a
	// block, and with SHA-1's padding it is two blocks.
	maxMessage = sha1.BlockSize - padSize

	// stateAt is where the digest so far stands in the state of a SHA-1 hash, behind
	// four bytes that tell its kind.
	stateAt = 4
)

// hasher computes HMAC-SHA1 of short messages. All of its hashes are of two blocks,
// so it pads them itself and has them hashed in one call; the digest is the state
// of the hash then. That is a sixth faster than Sum, which copies the hash and
// pads it piece by piece.
type hasher struct {
	hash   hash.Hash
	append func([]byte) ([]byte, error) // the state of hash; nil if it is not of the form that is known
	blocks [2 * sha1.BlockSize]byte
	state  [128]byte
}

// newHasher returns a hasher. It tries whether the state has the form that is
// known, and does without if it has not.
func newHasher() *hasher {
	h := &hasher{hash: sha1.New()}
	a, ok := h.hash.(encoding.BinaryAppender)
	if !ok {
		return h
	}
	h.append = a.AppendBinary
	const size = 100
	for i := range size {
		h.blocks[i] = byte(i)
	}
	if want := sha1.Sum(h.blocks[:size]); h.sum(size) != want {
		h.append = nil
	}
	return h
}

// mac is HMAC-SHA1 of a key of at most one block and a message of at most
// maxMessage bytes. See RFC 2104 §2.
func (h *hasher) mac(key, message []byte) [sha1.Size]byte {
	h.blocks = innerPad
	subtle.XORBytes(h.blocks[:], h.blocks[:], key)
	inner := h.sum(sha1.BlockSize + copy(h.blocks[sha1.BlockSize:], message))
	h.blocks = outerPad
	subtle.XORBytes(h.blocks[:], h.blocks[:], key)
	return h.sum(sha1.BlockSize + copy(h.blocks[sha1.BlockSize:], inner[:]))
}

// innerPad and outerPad are the pads of RFC 2104 §2, with room for a message.
var (
	innerPad = pad(0x36)
	outerPad = pad(0x5c)
)

func pad(with byte) (b [2 * sha1.BlockSize]byte) {
	for i := range sha1.BlockSize {
		b[i] = with
	}
	return b
}

// sum is SHA-1 of the first n bytes of h.blocks, more than one block and, with the
// padding, no more than two. What is behind them is 0.
func (h *hasher) sum(n int) [sha1.Size]byte {
	if h.append == nil {
		return sha1.Sum(h.blocks[:n])
	}
	h.blocks[n] = 0x80 // FIPS 180-4 §5.1.1
	binary.BigEndian.PutUint64(h.blocks[len(h.blocks)-8:], uint64(n)*8)
	h.hash.Reset()
	h.hash.Write(h.blocks[:]) // never fails
	state, err := h.append(h.state[:0])
	if err != nil || len(state) < stateAt+sha1.Size {
		return sha1.Sum(h.blocks[:n])
	}
	return [sha1.Size]byte(state[stateAt:])
}
