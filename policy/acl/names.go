package acl

import (
	"bytes"
	"errors"
	"hash/maphash"
	"math/bits"
)

// maxArena is the most bytes that the names of one set take, their lengths among
// them: offsets have 32 bits.
const maxArena = 1 << 30

// errTooMany says that there is no room for a name.
var errTooMany = errors.New("too many names: over 1 GiB of text")

// names is a set of host names, in lower case and without a trailing dot. All are
// added, then it is sealed, and then it is asked. A name of n bytes takes n + 7.7 of
// them:
//
//	arena   length and text of one name after the other
//	slots   where a name stands in arena, at a place that its hash tells
//	tags    for each slot some bits of the hash, or 0 if it is free
//
// Three of four slots are taken; a name that finds its own taken goes to the next. The
// hash has a seed of its own, so a list can't be written to make it slow.
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

// seal makes the table, and drops names that were added twice.
func (s *names) seal() {
	if s.len == 0 {
		return
	}
	s.seed = maphash.MakeSeed()
	size := s.len + s.len/3 + 1
	s.slots, s.tags = make([]uint32, size), make([]uint8, size)
	s.len = 0
	end := 0 // of the names that stay, which move to the front
	for at := 0; at < len(s.arena); {
		next := at + 1 + int(s.arena[at])
		if s.put(s.arena[at+1:next], end) {
			end += copy(s.arena[end:], s.arena[at:next])
			s.len++
		}
		at = next
	}
	s.arena = bytes.Clone(s.arena[:end]) // it had room to grow
}

// put takes a slot for a name that will stand at an offset. It returns false if the
// name has one.
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

// above returns where in name the longest name begins that is in the set and is name
// itself or a name that it is below.
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

// home returns the first slot that a name may be in, and its tag.
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

// at returns the name of a slot that is taken.
func (s *names) at(slot int) []byte {
	at := int(s.slots[slot])
	return s.arena[at+1 : at+1+int(s.arena[at])]
}
