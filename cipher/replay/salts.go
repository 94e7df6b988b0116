// Package replay remembers the salts and packet numbers that have been received, so
// that recordings are refused.
package replay

import (
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// MaxSalt is the maximum length of a salt in bytes.
const MaxSalt = 32

// Salts is an exact, bounded set of salts for methods without a timestamp in the
// handshake. It keeps the last size to 2×size salts: when the newer half is full, it
// replaces the older half, which is dropped. At the limit a salt takes about 75 bytes.
type Salts struct {
	mu       sync.Mutex
	size     int
	now, old map[[MaxSalt]byte]struct{} // guarded by mu
}

// NewSalts returns an empty set that remembers at least the last size salts.
func NewSalts(size int) *Salts {
	return &Salts{size: size, now: map[[MaxSalt]byte]struct{}{}}
}

// keptSalts is the minimum number of salts that a server remembers. Each connection has
// two. At the limit they take about 20 MiB.
const keptSalts = 1 << 17

// KeepSalts has the component in env keep a set of at least its last 131072 salts over
// reloads. It calls use with the set as core.Keep calls its function.
func KeepSalts(env core.Env, use func(*Salts)) {
	core.Keep(env, func(old *Salts) *Salts {
		if old == nil {
			old = NewSalts(keptSalts)
		}
		use(old)
		return old
	})
}

// Add adds salt, of at most MaxSalt bytes, and reports whether it was new. Check and
// insertion are atomic: of two concurrent calls with the same salt one returns true.
// Call Add only after the message with the salt was authenticated. Otherwise an attacker
// can fill the set, or invalidate a salt that a client is about to use.
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

// All returns the contents of the set for a Journal, the older half first: adding all
// of it to an empty set produces an equal set.
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

// Len returns the number of salts in the set.
func (s *Salts) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.now) + len(s.old)
}
