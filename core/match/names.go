package match

import (
	"bytes"
	"errors"
	"hash/maphash"
	"math/bits"
)

// maxArena is the maximum size of the names of one set in bytes, including their
// length bytes: offsets have 32 bits.
const maxArena = 1 << 30

// errTooMany reports that a name does not fit into the set.
var errTooMany = errors.New("too many names: over 1 GiB of text")

// names is a set of host names, in lower case and without a trailing dot. It is a hash
// table with linear probing. All names are added before seal, and looked up after. A
// name of n bytes takes n + 7.7 bytes:
//
//	arena   length and text of each name, one after the other
//	slots   the offset of a name in arena, at an index derived from the name's hash
//	tags    for each slot some bits of the hash, or 0 if the slot is free
//
// Three of four slots are used. Each set has its own random hash seed, so the author of
// a list can't choose names that collide.
type names struct {
	seed  maphash.Seed
	arena []byte
	slots []uint32
	tags  []uint8
	len   int
}

// add adds a name of 1 to 253 bytes.
func (s *names) add(name []byte) error {
	if len(s.arena)+1+len(name) > maxArena {
		return errTooMany
	}
	s.arena = append(s.arena, byte(len(name)))
	s.arena = append(s.arena, name...)
	s.len++
	return nil
}

// seal builds the hash table, and removes duplicate names.
func (s *names) seal() {
	if s.len == 0 {
		return
	}
	s.seed = maphash.MakeSeed()
	size := s.len + s.len/3 + 1
	s.slots, s.tags = make([]uint32, size), make([]uint8, size)
	s.len = 0
	end := 0 // end of the names that are kept, which move to the front
	for at := 0; at < len(s.arena); {
		next := at + 1 + int(s.arena[at])
		if s.put(s.arena[at+1:next], end) {
			end += copy(s.arena[end:], s.arena[at:next])
			s.len++
		}
		at = next
	}
	s.arena = bytes.Clone(s.arena[:end]) // releases the spare capacity
}

// put stores the offset of a name in a free slot. It returns false if the set already
// contains the name.
func (s *names) put(name []byte, offset int) bool {
	i, tag := s.home(name)
	for ; s.tags[i] != 0; i = s.after(i) {
		if s.tags[i] == tag && bytes.Equal(s.at(i), name) {
			return false
		}
	}
	s.slots[i], s.tags[i] = uint32(offset), tag
	return true
}

// has reports whether a name is in the set.
func (s *names) has(name []byte) bool {
	if s.len == 0 {
		return false
	}
	i, tag := s.home(name)
	for ; s.tags[i] != 0; i = s.after(i) {
		if s.tags[i] == tag && bytes.Equal(s.at(i), name) {
			return true
		}
	}
	return false
}

// above returns the index in name at which the longest suffix begins that is in the
// set: name itself or a parent domain.
func (s *names) above(name []byte) (at int, ok bool) {
	if s.len == 0 {
		return 0, false
	}
	for {
		if s.has(name[at:]) {
			return at, true
		}
		dot := bytes.IndexByte(name[at:], '.')
		if dot < 0 {
			return 0, false
		}
		at += dot + 1
	}
}

// home returns the first slot for a name, and the name's tag.
func (s *names) home(name []byte) (slot int, tag uint8) {
	hash := maphash.Bytes(s.seed, name)
	high, _ := bits.Mul64(hash, uint64(len(s.slots)))
	return int(high), uint8(hash) | 1
}

func (s *names) after(slot int) int {
	if slot++; slot == len(s.slots) {
		return 0
	}
	return slot
}

// at returns the name in a used slot.
func (s *names) at(slot int) []byte {
	at := int(s.slots[slot])
	return s.arena[at+1 : at+1+int(s.arena[at])]
}
