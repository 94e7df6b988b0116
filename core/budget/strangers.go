package budget

import (
	"context"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// EvictAgain is the time after which MakeRoom is called again for an evicted stranger
// that has not left.
const EvictAgain = 50 * time.Millisecond

// Strangers are the strangers of one inbound. They have bounds of their own beside those
// of the Budget: over one of them a stranger that makes no progress is
// evicted; if there is none, the new stranger is refused.
type Strangers struct {
	budget   *Budget
	most     int
	bySource int    // most of one source
	files    int    // descriptors of each
	full     func() // called when a stranger is refused, or makes room, for most or bySource

	// All that follows is guarded by budget.mu.
	all       crowd
	sources   map[netip.Prefix]*crowd
	evicting  map[*Stranger]struct{} // evicted, and not removed yet
	toldAgain time.Time              // when MakeRoom was last called for all in evicting
	closed    bool
	idle      chan struct{} // closed when there are none; nil without a waiter
}

// Member is a connection that is a stranger.
type Member interface {
	// MakeRoom ends the connection soon and without a log line. It must not block. It
	// may be called more than once.
	MakeRoom()
}

// Stranger is the place of a connection among the strangers; its connection contains it.
// The zero Stranger is ready. All fields are guarded by Budget.mu.
type Stranger struct {
	of     *Strangers
	member Member
	source netip.Prefix
	by     *crowd // of source; nil without a source
	since  time.Time
	class  class
	listed bool
	links  [scopes]link
}

// NewStrangers returns the strangers of an inbound: at most most, and at most bySource of
// one client address (IPv6: of one /64). Clients on this machine have no bound by source.
// full, which may be nil, is called when one of these bounds, not that of the budget, is
// reached.
func (b *Budget) NewStrangers(most, bySource int, full func()) *Strangers {
	if full == nil {
		full = func() {}
	}
	return &Strangers{
		budget: b, most: most, bySource: bySource, files: 1, full: full, all: newCrowd(inInbound),
		sources: map[netip.Prefix]*crowd{}, evicting: map[*Stranger]struct{}{},
	}
}

// UseDescriptors sets how many descriptors each stranger has, which is 1 by default. It is
// called before the first Add.
func (s *Strangers) UseDescriptors(n int) { s.files = n }

// Add adds a connection of client. The zero Addr stands for a client that is not known
// yet. The error is an ErrCrowded; then nothing was added.
func (s *Strangers) Add(st *Stranger, m Member, client netip.Addr) error {
	s.budget.mu.Lock()
	st.of, st.member = s, m
	full, err := s.admit(st, sourceOf(client))
	s.budget.mu.Unlock()
	if full {
		s.full()
	}
	return err
}

// AddAgain adds a connection whose request was served, and calls begin. Once the set is
// closed, AddAgain does neither and returns an ErrShutdown.
func (s *Strangers) AddAgain(st *Stranger, begin func()) error {
	s.budget.mu.Lock()
	if s.closed {
		s.budget.mu.Unlock()
		return core.ErrShutdown
	}
	s.unlist(st) // a request that was refused before it was served left st listed
	delete(s.evicting, st)
	full, err := s.admit(st, st.source)
	if err == nil {
		begin()
	}
	s.budget.mu.Unlock()
	if full {
		s.full()
	}
	return err
}

// AddBack adds a connection that was served, or was about to be, and is ended as a
// stranger.
func (s *Strangers) AddBack(st *Stranger, m Member) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	st.of, st.member = s, m
	s.list(st, started, netip.Prefix{})
	s.budget.shrink()
}

// Identify calls begin, and counts st for client from now on. If client is the zero Addr,
// st stays without a source. If st was evicted, Identify does nothing: begin must not
// extend the deadline of an evicted connection.
func (s *Strangers) Identify(st *Stranger, client netip.Addr, begin func()) {
	if s.identify(st, sourceOf(client), begin) {
		s.full()
	}
}

// identify does what Identify says, and reports whether the bound of the source is reached.
func (s *Strangers) identify(st *Stranger, source netip.Prefix, begin func()) (full bool) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	if !st.listed {
		return false
	}
	s.unlist(st)
	full, ok := s.makeRoomAt(source, time.Now())
	s.list(st, silent, source)
	if ok {
		begin()
	} else {
		st.evict()
	}
	return full
}

// Started notes that a stranger has sent its first bytes.
func (s *Strangers) Started(st *Stranger) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	if !st.listed {
		return
	}
	source := st.source
	s.unlist(st)
	s.list(st, started, source)
}

// Evicted reports whether st was evicted.
func (s *Strangers) Evicted(st *Stranger) bool {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	_, ok := s.evicting[st]
	return ok
}

// Remove removes st, whose request is known or whose connection has ended. It may be
// called again.
func (s *Strangers) Remove(st *Stranger) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	s.unlist(st)
	delete(s.evicting, st)
	if s.idle != nil && s.empty() {
		close(s.idle)
		s.idle = nil
	}
}

// Len returns how many strangers there are, evicted ones not included.
func (s *Strangers) Len() int {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	return s.all.len()
}

// Close makes AddAgain refuse connections.
func (s *Strangers) Close() {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	s.closed = true
}

// Wait returns nil when there are no strangers, and the error of ctx if ctx ends first.
func (s *Strangers) Wait(ctx context.Context) error {
	s.budget.mu.Lock()
	if s.empty() {
		s.budget.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.budget.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// EvictAll evicts every stranger, and calls MakeRoom again for those that were evicted
// before.
func (s *Strangers) EvictAll() {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	for st := range s.evicting {
		st.member.MakeRoom()
	}
	for st := s.all.oldest(); st != nil; st = s.all.oldest() {
		st.evict()
	}
}
