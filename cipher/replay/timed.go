package replay

import (
	"iter"
	"maps"
	"sync"
	"time"
)

// Timed is an exact set of salts for methods whose handshake tells when it was
// made. A salt is forgotten when both clocks say that its message is too old: it
// has been here for a fixed time (monotonic, so that a step of the wall clock does
// not shorten it), and the wall clock has passed the last instant at which the
// message is good (so that a step backwards does not make it good again).
//
// Nothing else bounds the set: only messages that were authenticated get into it.
// A salt takes about 75 bytes.
type Timed struct {
	least time.Duration

	mu   sync.Mutex
	ages []*age // the oldest first; guarded by mu
}

// age is the salts of one stretch of time, which are forgotten together.
type age struct {
	salts       map[[MaxSalt]byte]struct{}
	first, last time.Time // when the first and the last one came
	until       time.Time // the latest of their untils
}

// agesPerLeast is into how many ages the least time is cut: a look-up asks each,
// and a salt stays for one of them longer than it has to.
const agesPerLeast = 8

// NewTimed returns an empty set that keeps each salt for at least that time.
func NewTimed(least time.Duration) *Timed { return &Timed{least: least} }

// Add adds salt, of at most MaxSalt bytes, and reports whether it was new, under
// the rules of Salts.Add. until is the last instant, by the wall clock, at which
// the message it came with is good. now is the time, in both clocks.
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

// latest returns the age that now belongs to. Times may come a little out of
// order.
func (t *Timed) latest(now time.Time) *age {
	if n := len(t.ages); n > 0 && now.Sub(t.ages[n-1].first) < t.least/agesPerLeast {
		return t.ages[n-1]
	}
	a := &age{salts: map[[MaxSalt]byte]struct{}{}, first: now, last: now}
	t.ages = append(t.ages, a)
	return a
}

// prune forgets the ages that are over.
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

// wall takes the monotonic clock out of a time, so that comparing uses the other.
func wall(t time.Time) time.Time { return t.Round(0) }

// All returns what is remembered, for a Journal.
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

// copied returns the ages as they are now. Only the last one changes.
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

// Len returns how many salts are remembered.
func (t *Timed) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, a := range t.ages {
		n += len(a.salts)
	}
	return n
}
