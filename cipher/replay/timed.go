package replay

import (
	"iter"
	"maps"
	"sync"
	"time"
)

// Timed is an exact set of salts for methods with a timestamp in the handshake. A salt
// is dropped when its message is too old by both clocks: a fixed time has passed by the
// monotonic clock, so that a step of the wall clock does not shorten it, and the wall
// clock has passed the last instant at which the message is valid, so that a step
// backwards does not make the message valid again.
//
// The set has no other limit: only authenticated messages get into it. A salt takes
// about 75 bytes.
type Timed struct {
	least time.Duration

	mu   sync.Mutex
	ages []*age // the oldest first; guarded by mu
}

// age is a group of salts that were added within a short time and are dropped together.
type age struct {
	salts       map[[MaxSalt]byte]struct{}
	first, last time.Time // when the first and the last salt were added
	until       time.Time // the latest until of the salts
}

// agesPerLeast is the number of ages in the minimum time. A look-up checks every age,
// and a salt is kept for up to one age longer than necessary.
const agesPerLeast = 8

// NewTimed returns an empty set that keeps each salt for at least the time least.
func NewTimed(least time.Duration) *Timed { return &Timed{least: least} }

// Add adds salt, of at most MaxSalt bytes, and reports whether it was new, under the
// rules of Salts.Add. until is the last instant, by the wall clock, at which the message
// with the salt is valid. now is the current time, with a monotonic reading.
func (t *Timed) Add(salt []byte, until, now time.Time) bool {
	var k [MaxSalt]byte
	copy(k[:], salt)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prune(now)
	for _, a := range t.ages {
		if _, seen := a.salts[k]; seen {
			return false
		}
	}
	a := t.latest(now)
	a.salts[k] = struct{}{}
	if now.After(a.last) {
		a.last = now
	}
	if until.After(a.until) {
		a.until = until
	}
	return true
}

// latest returns the age for now. Times may be slightly out of order.
func (t *Timed) latest(now time.Time) *age {
	if n := len(t.ages); n > 0 && now.Sub(t.ages[n-1].first) < t.least/agesPerLeast {
		return t.ages[n-1]
	}
	a := &age{salts: map[[MaxSalt]byte]struct{}{}, first: now, last: now}
	t.ages = append(t.ages, a)
	return a
}

// prune drops the ages whose salts have all expired.
func (t *Timed) prune(now time.Time) {
	kept := t.ages[:0]
	for _, a := range t.ages {
		if now.Sub(a.last) < t.least || !wall(now).After(wall(a.until)) {
			kept = append(kept, a)
		}
	}
	clear(t.ages[len(kept):])
	t.ages = kept
}

// wall strips the monotonic reading, so that comparisons use the wall clock.
func wall(t time.Time) time.Time { return t.Round(0) }

// All returns the contents of the set for a Journal.
func (t *Timed) All(kind byte) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for _, a := range t.copied() {
			for k := range a.salts {
				if !yield(Record{Kind: kind, Until: a.until, Data: k[:]}) {
					return
				}
			}
		}
	}
}

// copied returns a snapshot of the ages. Only the last age can still change.
func (t *Timed) copied() []age {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ages []age
	for _, a := range t.ages {
		ages = append(ages, *a)
	}
	if last := len(ages) - 1; last >= 0 {
		ages[last].salts = maps.Clone(ages[last].salts)
	}
	return ages
}

// Len returns the number of salts in the set.
func (t *Timed) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, a := range t.ages {
		n += len(a.salts)
	}
	return n
}
