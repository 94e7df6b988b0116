package stream

import (
	"crypto/cipher"
	"crypto/md5"
	"encoding/binary"
	"slices"
)

// tableRounds is the number of times the table is sorted.
const tableRounds = 1023

// newTable is the first method of Shadowsocks: each byte is replaced according to a
// permutation derived from the password. The permutation can be reconstructed from enough
// ciphertext without the password.
func newTable(password []byte) (Start, error) {
	var substitutions struct{ encrypt, decrypt substitution }
	substitutions.encrypt = permutation(password)
	for i, b := range substitutions.encrypt {
		substitutions.decrypt[b] = byte(i)
	}
	return func(_ []byte, op Operation) (cipher.Stream, error) {
		if op == Encrypt {
			return &substitutions.encrypt, nil
		}
		return &substitutions.decrypt, nil
	}, nil
}

// permutation sorts all bytes repeatedly, by the remainder of a number derived from the
// password divided by the byte plus the round. The sort is stable.
func permutation(password []byte) (p substitution) {
	sum := md5.Sum(password)
	number := binary.LittleEndian.Uint64(sum[:])
	var left [len(p) + tableRounds]uint32 // remainder of number divided by the index
	for i := range left[1:] {
		left[i+1] = uint32(number % uint64(i+1))
	}
	for i := range p {
		p[i] = byte(i)
	}
	var order [len(p)]uint32 // remainder, previous index, byte
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

// substitution replaces each byte. It has no state.
type substitution [256]byte

func (s *substitution) XORKeyStream(dst, src []byte) {
	for i, b := range src {
		dst[i] = s[b]
	}
}
