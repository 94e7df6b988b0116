package inbound

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// maxPerSource bounds the handshakes in progress of one client address (IPv6:
// one /64).
const maxPerSource = 64

// handshakes is the set of connections whose request is not known yet. It is
// bounded: over a bound the oldest one is evicted rather than the new one refused,
// so that a flood of silent clients can't keep others out.
type handshakes struct {
	max int

	mu       sync.Mutex
	all      *list.List                  // of member, the oldest first; guarded by mu, as all that follows
	bySource map[netip.Prefix]*list.List // the same, for each source
	evicting map[member]struct{}         // asked to make room, and in neither list any more
	closed   bool                        // no connection comes back for another request
	idle     chan struct{}               // closed when none is left, if someone waits
}

// member is one handshake.
type member interface {
	// makeRoom ends it soon, and quietly. It is called under handshakes.mu.
	makeRoom()
	at() *place
}

// place is where a member stands in the set. It is guarded by handshakes.mu.
type place struct {
	source      netip.Prefix
	inAll, inBy *list.Element
	asked       time.Time // when it was asked to make room
}

func (h *handshake) at() *place { return &h.place }

func newHandshakes(most int) *handshakes {
	return &handshakes{max: most, all: list.New(), bySource: map[netip.Prefix]*list.List{}, evicting: map[member]struct{}{}}
}

// add takes in a connection from client, or, if that is the zero Addr, from one
// that is not known yet.
func (s *handshakes) add(m member, client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list(m, client)
}

// addAgain takes in a connection whose request was served, and calls begin. It
// reports false, and does neither, once the set was closed.
func (s *handshakes) addAgain(m member, begin func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.unlist(m) // its request may have been refused before it counted as served
	delete(s.evicting, m)
	begin()
	s.list(m, m.at().source.Addr())
	return true
}

// list puts m into the lists, and evicts the oldest one over a bound. mu is held.
func (s *handshakes) list(m member, client netip.Addr) {
	m.at().inAll = s.all.PushBack(m)
	s.attribute(m, client)
	if s.all.Len() > s.max {
		s.evict(s.all.Front().Value.(member))
	}
}

// identify counts m as client's from now on, or, if that is the zero Addr, as
// still unknown, and calls begin. It does neither if m is being evicted: then begin
// must not give it more time.
func (s *handshakes) identify(m member, client netip.Addr, begin func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.at().inAll == nil {
		return
	}
	begin()
	s.attribute(m, client)
}

// attribute puts m, which is in all, into the list of its source. mu is held.
func (s *handshakes) attribute(m member, client netip.Addr) {
	if !client.IsValid() || client.IsLoopback() {
		return
	}
	p := m.at()
	p.source = core.SourceOf(client)
	by := s.bySource[p.source]
	if by == nil {
		by = list.New()
		s.bySource[p.source] = by
	}
	p.inBy = by.PushBack(m)
	if by.Len() > maxPerSource {
		s.evict(by.Front().Value.(member))
	}
}

// evict asks a handshake to make room. Those that were asked a while ago are asked
// again: a handshake may have reset its deadline concurrently, and none may stay
// beyond the bound. mu is held.
func (s *handshakes) evict(m member) {
	now := time.Now()
	for other := range s.evicting {
		if now.Sub(other.at().asked) >= endPause {
			other.at().asked = now
			other.makeRoom()
		}
	}
	s.unlist(m)
	s.evicting[m] = struct{}{}
	m.at().asked = now
	m.makeRoom()
}

// unlist takes m out of the lists. mu is held.
func (s *handshakes) unlist(m member) {
	p := m.at()
	if p.inAll == nil {
		return
	}
	s.all.Remove(p.inAll)
	p.inAll = nil
	if p.inBy == nil {
		return
	}
	by := s.bySource[p.source]
	if by.Remove(p.inBy); by.Len() == 0 {
		delete(s.bySource, p.source)
	}
	p.inBy = nil
}

// evicted reports whether m was asked to make room.
func (s *handshakes) evicted(m member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, asked := s.evicting[m]
	return asked
}

// remove takes m out: its request is served, or it has ended. It may be called
// again.
func (s *handshakes) remove(m member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlist(m)
	delete(s.evicting, m)
	if s.idle != nil && s.empty() {
		close(s.idle)
		s.idle = nil
	}
}

func (s *handshakes) empty() bool { return s.all.Len() == 0 && len(s.evicting) == 0 }

// close refuses connections that come back for another request.
func (s *handshakes) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// wait returns when the set is empty, or when ctx ends.
func (s *handshakes) wait(ctx context.Context) error {
	s.mu.Lock()
	if s.empty() {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// evictAll asks every handshake to make room, those that were asked before too.
func (s *handshakes) evictAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := range s.evicting {
		m.makeRoom()
	}
	for e := s.all.Front(); e != nil; e = s.all.Front() {
		s.evict(e.Value.(member))
	}
}
