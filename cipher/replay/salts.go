// Package replay remembers what has been received, so that a recording of it
// is refused.
package replay

import (
	"iter"
	"maps"
	"slices"
	"sync"
)

// MaxSalt is the longest salt in bytes.
const MaxSalt = 32

// Salts is an exact, bounded set of salts for methods whose handshake has no
// time in it. It keeps the last Size to 2×Size of them: when the newer
// half is full it becomes the older one, and the older is forgotten. At the
// bound it takes about 75 bytes a salt.
type Salts struct {
	mu       sync.Mutex
	size     int
	now, old map[[MaxSalt]byte]struct{} // guarded by mu
}

// NewSalts returns an empty set that remembers at least the last size salts.
func NewSalts(size int) *Salts {
	return &Salts{size: size, now: map[[MaxSalt]byte]struct{}{}}
}

// Add adds salt, of at most MaxSalt bytes, and reports whether it was new. Check
// and insertion are one step: of two equal salts at the same instant one is new.
// Add it only after the message that it came with was authenticated, or anybody
// can fill the set, or burn a salt that somebody else is about to use.
func (s *Salts) Add(salt []byte) bool {
	var k [MaxSalt]byte
	copy(k[:], salt)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, seen := s.now[k]; seen {
		return false
	}
	if _, seen := s.old[k]; seen {
		return false
	}
	if len(s.now) >= s.size {
		s.now, s.old = map[[MaxSalt]byte]struct{}{}, s.now
	}
	s.now[k] = struct{}{}
	return true
}

// All returns what is remembered, the older half first, for a Journal: adding it all
// to an empty set makes an equal one.
func (s *Salts) All(kind byte) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		s.mu.Lock()
		old, now := s.old, slices.Collect(maps.Keys(s.now)) // old does not change
		s.mu.Unlock()
		for k := range old {
			if !yield(Record{Kind: kind, Data: k[:]}) {
				return
			}
		}
		for _, k := range now {
			if !yield(Record{Kind: kind, Data: k[:]}) {
				return
			}
		}
	}
}

// Len returns how many salts are remembered.
func (s *Salts) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.now) + len(s.old)
}
