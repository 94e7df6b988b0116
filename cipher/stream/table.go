package stream

import (
	"crypto/cipher"
	"crypto/md5"
	"encoding/binary"
	"slices"
)

// tableRounds is how often a table is sorted.
const tableRounds = 1023

// newTable is the first method that Shadowsocks had: each byte becomes the one at
// its place in a permutation that the password gives. Who has enough text can undo it
// without the password.
func newTable(password []byte) (Start, error) {
	var ways struct{ encrypt, decrypt substitution }
	ways.encrypt = permutation(password)
	for i, b := range ways.encrypt {
		ways.decrypt[b] = byte(i)
	}
	return func(_ []byte, way Way) (cipher.Stream, error) {
		if way == Encrypt {
			return &ways.encrypt, nil
		}
		return &ways.decrypt, nil
	}, nil
}

// permutation sorts all bytes again and again, by what is left of a number of the
// password divided by the byte plus the number of the round. Equal ones keep their
// order.
func permutation(password []byte) (p substitution) {
	sum := md5.Sum(password)
	number := binary.LittleEndian.Uint64(sum[:])
	var left [len(p) + tableRounds]uint32 // of number divided by the index
	for i := range left[1:] {
		left[i+1] = uint32(number % uint64(i+1))
	}
	for i := range p {
		p[i] = byte(i)
	}
	var order [len(p)]uint32 // what is left, the place before, the byte
	for round := 1; round <= tableRounds; round++ {
		for i, b := range p {
			order[i] = left[int(b)+round]<<16 | uint32(i)<<8 | uint32(b)
		}
		slices.Sort(order[:])
		for i, o := range order {
			p[i] = byte(o)
		}
	}
	return p
}

// substitution puts a byte for each byte. It has no state.
type substitution [256]byte

func (s *substitution) XORKeyStream(dst, src []byte) {
	for i, b := range src {
		dst[i] = s[b]
	}
}
