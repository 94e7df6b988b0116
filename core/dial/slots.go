package dial

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// Slots bounds work that clients cause, such as lookups under way: in all, and for each
// client address and each user. Work beyond a bound waits for its turn. A free slot goes
// to the asker with the fewest slots, so one that keeps all of its share occupied delays
// no other. The zero Slots has no bounds.
type Slots struct {
	mu     sync.Mutex
	total  int           // slots in all, 0 for no bound; guarded by mu, as all that follows
	each   int           // slots of one client address, or one user
	used   int           // slots in use
	shares map[Asker]int // slots in use, by client address alone and by user alone
	queue  map[Asker]*line
	last   uint64 // number of the last turn
}

// Asker is the client and the user that work is done for. The zero Asker is the program
// itself: only the bound in all applies to it.
type Asker struct {
	source netip.Prefix // see core.SourceOf
	user   string
}

// AskerOf returns the Asker of the request that ctx is for.
func AskerOf(ctx context.Context) Asker {
	r := core.RequestOf(ctx)
	if r == nil {
		return Asker{}
	}
	a := Asker{user: r.User}
	if !r.Client.Unattributed {
		a.source = core.SourceOf(r.Client.Addr.Addr())
	}
	return a
}

// String names the asker for logs.
func (a Asker) String() string {
	switch {
	case a == Asker{}:
		return "umbra itself"
	case a.user == "":
		return a.source.String()
	case !a.source.IsValid():
		return a.user
	}
	return fmt.Sprintf("%s as %s", a.source, a.user)
}

// line is the turns of one asker, the oldest first.
type line struct{ turns []*turn }

// turn is work that waits.
type turn struct {
	number uint64
	given  chan struct{} // closed when the turn has got its slot
}

// Limit sets the bounds: slots in all, and of each client address and each user.
func (s *Slots) Limit(total, each int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total, s.each = total, each
	s.give()
}

// Try takes a slot if one is free for a. The caller returns it by Release.
func (s *Slots) Try(a Asker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.free(a) {
		return false
	}
	s.take(a)
	return true
}

// Acquire takes a slot and waits until one is free for a. After an error, which wraps
// core.ErrCrowded, there is nothing to release.
func (s *Slots) Acquire(ctx context.Context, a Asker) error {
	s.mu.Lock()
	if s.free(a) {
		s.take(a)
		s.mu.Unlock()
		return nil
	}
	s.last++
	t := &turn{number: s.last, given: make(chan struct{})}
	if s.queue == nil {
		s.queue = map[Asker]*line{}
	}
	l := s.queue[a]
	if l == nil {
		l = new(line)
		s.queue[a] = l
	}
	l.turns = append(l.turns, t)
	s.mu.Unlock()
	select {
	case <-t.given:
		return nil
	case <-ctx.Done():
		return s.leave(a, t)
	}
}

// leave ends the wait of t, which may have got its slot in this moment.
func (s *Slots) leave(a Asker, t *turn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-t.given:
		return nil
	default:
	}
	l := s.queue[a]
	for i := range l.turns {
		if l.turns[i] == t {
			l.turns = append(l.turns[:i], l.turns[i+1:]...)
			break
		}
	}
	if len(l.turns) == 0 {
		delete(s.queue, a)
	}
	if s.used >= s.total {
		return fmt.Errorf("%w: %d under way in all", core.ErrCrowded, s.used)
	}
	return fmt.Errorf("%w: %d under way for %s", core.ErrCrowded, s.load(a), a)
}

// Release returns a slot that a took.
func (s *Slots) Release(a Asker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	for _, of := range a.shares() {
		if of == (Asker{}) {
			continue
		}
		if s.shares[of]--; s.shares[of] == 0 {
			delete(s.shares, of)
		}
	}
	s.give()
}

// Used returns the number of slots in use, and the bound in all.
func (s *Slots) Used() (used, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.total
}

// give gives free slots to those that wait: to the asker with the fewest slots and, of
// several, to the one that has waited longest. mu is held.
func (s *Slots) give() {
	for len(s.queue) > 0 && (s.total == 0 || s.used < s.total) {
		var next Asker
		var best *line
		for a, l := range s.queue {
			if s.free(a) && (best == nil || s.load(a) < s.load(next) || s.load(a) == s.load(next) && l.turns[0].number < best.turns[0].number) {
				next, best = a, l
			}
		}
		if best == nil {
			return
		}
		close(best.turns[0].given)
		if best.turns = best.turns[1:]; len(best.turns) == 0 {
			delete(s.queue, next)
		}
		s.take(next)
	}
}

// free reports whether a may have a slot. mu is held.
func (s *Slots) free(a Asker) bool {
	return s.total == 0 || s.used < s.total && s.load(a) < s.each
}

// take takes a slot. mu is held.
func (s *Slots) take(a Asker) {
	s.used++
	for _, of := range a.shares() {
		if of == (Asker{}) {
			continue
		}
		if s.shares == nil {
			s.shares = map[Asker]int{}
		}
		s.shares[of]++
	}
}

// load returns the slots of a's client address or user, whichever has more. mu is held.
func (s *Slots) load(a Asker) int {
	most := 0
	for _, of := range a.shares() {
		if of != (Asker{}) {
			most = max(most, s.shares[of])
		}
	}
	return most
}

// shares returns the client address and the user that a slot of a counts for. A zero
// Asker among them is none.
func (a Asker) shares() [2]Asker { return [2]Asker{{source: a.source}, {user: a.user}} }
