package inbound

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// maxPerSource bounds the handshakes in progress of one client address (IPv6: of one
// /64).
const maxPerSource = 64

// handshakes is the set of connections whose request is not known yet. The set is
// bounded: over a bound the oldest handshake is evicted and the new one admitted, so
// that a flood of silent clients can't lock out other clients.
type handshakes struct {
	max int

	mu       sync.Mutex
	all      *list.List                  // of member, the oldest first; guarded by mu, as all that follows
	bySource map[netip.Prefix]*list.List // the same, for each source
	evicting map[member]struct{}         // evicted members that have not ended; in neither list
	closed   bool                        // addAgain refuses connections
	idle     chan struct{}               // closed when the set is empty; nil without a waiter
}

// member is one handshake.
type member interface {
	// makeRoom ends the handshake soon and without a log line. It is called under
	// handshakes.mu.
	makeRoom()
	at() *place
}

// place is the position of a member in the set. It is guarded by handshakes.mu.
type place struct {
	source      netip.Prefix
	inAll, inBy *list.Element
	evictedAt   time.Time // when makeRoom was called last
}

func (h *handshake) at() *place { return &h.place }

func newHandshakes(most int) *handshakes {
	return &handshakes{max: most, all: list.New(), bySource: map[netip.Prefix]*list.List{}, evicting: map[member]struct{}{}}
}

// add adds a connection of client. The zero Addr stands for a client that is not known
// yet.
func (s *handshakes) add(m member, client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list(m, client)
}

// addAgain adds a connection whose request was served, and calls begin. Once the set is
// closed, addAgain does neither and returns false.
func (s *handshakes) addAgain(m member, begin func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.unlist(m) // a request that was refused before live was called leaves m listed
	delete(s.evicting, m)
	begin()
	s.list(m, m.at().source.Addr())
	return true
}

// list adds m to the lists, and evicts the oldest member over a bound. mu is held.
func (s *handshakes) list(m member, client netip.Addr) {
	m.at().inAll = s.all.PushBack(m)
	s.attribute(m, client)
	if s.all.Len() > s.max {
		s.evict(s.all.Front().Value.(member))
	}
}

// identify calls begin and counts m for client from now on. If client is the zero Addr,
// m stays without a source. If m was evicted, identify does nothing: begin must not
// extend the deadline of an evicted handshake.
func (s *handshakes) identify(m member, client netip.Addr, begin func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.at().inAll == nil {
		return
	}
	begin()
	s.attribute(m, client)
}

// attribute adds m, which is in all, to the list of its source. mu is held.
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

// evict ends a handshake to make room. makeRoom is repeated for members that were
// evicted before endPause and have not ended: a handshake may have reset its deadline
// concurrently, and must not stay beyond the bound. mu is held.
func (s *handshakes) evict(m member) {
	now := time.Now()
	for other := range s.evicting {
		if now.Sub(other.at().evictedAt) >= endPause {
			other.at().evictedAt = now
			other.makeRoom()
		}
	}
	s.unlist(m)
	s.evicting[m] = struct{}{}
	m.at().evictedAt = now
	m.makeRoom()
}

// unlist removes m from the lists. mu is held.
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

// evicted reports whether m was evicted.
func (s *handshakes) evicted(m member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.evicting[m]
	return ok
}

// remove removes m, whose request is served or which has ended. It may be called again.
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

// close makes addAgain refuse connections.
func (s *handshakes) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// wait returns nil when the set is empty, and the error of ctx if ctx ends first.
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

// evictAll evicts every handshake, and repeats makeRoom for evicted members.
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
