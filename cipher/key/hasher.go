package key

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding"
	"encoding/binary"
	"hash"
)

const (
	// padSize is the minimum padding of SHA-1 in bytes: one for the bit 1, and the length.
	padSize = 1 + 8
	// maxMessage is the maximum message length of mac in bytes: together with the padded
	// key, which is one block, and SHA-1's padding it is two blocks.
	maxMessage = sha1.BlockSize - padSize

	// stateAt is the offset of the digest in the encoded state of a SHA-1 hash, after
	// four bytes that identify the algorithm.
	stateAt = 4
)

// hasher computes HMAC-SHA1 of short messages. Each of its hashes is over two blocks, so
// it pads them itself and hashes them in one call; the digest is then in the state of
// the hash. That takes a sixth less time than Sum, which copies the hash and pads it
// piece by piece.
type hasher struct {
	hash   hash.Hash
	append func([]byte) ([]byte, error) // appends the state of hash; nil if its format is unknown
	blocks [2 * sha1.BlockSize]byte
	state  [128]byte
}

// newHasher returns a hasher. It tests the format of the hash state, and uses the
// public functions of crypto/sha1 if the format is unknown.
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

// mac returns the HMAC-SHA1 of a key of at most one block and a message of at most
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

// sum returns the SHA-1 of the first n bytes of h.blocks: more than one block, and at
// most two blocks including the padding. The bytes after n must be 0.
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
