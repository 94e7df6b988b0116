package inbound

import (
	"container/list"
	"context"
	"github.com/umbra-proxy/umbra/core"
	"net/netip"
	"sync"
	"time"
)

// maxPerSource bounds the handshakes in progress of one client address (IPv6:
// one /64).
const maxPerSource = 64

// handshakes is the set of connections that have made no request yet. It is
// bounded: over a bound the oldest one is ended rather than the new one
// refused, so a flood of silent clients can't keep others out.
type handshakes struct {
	max int

	mu       sync.Mutex
	all      *list.List                  // of *handshake, oldest first
	bySource map[netip.Prefix]*list.List // the same, for each source
	ending   map[*handshake]struct{}     // told to end, and in neither list any more
	idle     chan struct{}               // closed when none is left, if someone waits
}

// handshake is one member of the set.
type handshake struct {
	source      netip.Prefix
	end         func()    // ends it soon, and quietly; called under handshakes.mu
	told        time.Time // when it was told to end
	inAll, inBy *list.Element
}

func newHandshakes(most int) *handshakes {
	return &handshakes{max: most, all: list.New(), bySource: map[netip.Prefix]*list.List{}, ending: map[*handshake]struct{}{}}
}

// add takes in a connection from client, or, if that is the zero Addr, from one
// not known yet. end is called if it must make room.
func (h *handshakes) add(client netip.Addr, end func()) *handshake {
	hs := &handshake{end: end}
	h.mu.Lock()
	defer h.mu.Unlock()
	hs.inAll = h.all.PushBack(hs)
	h.attribute(hs, client)
	if h.all.Len() > h.max {
		h.tell(h.all.Front().Value.(*handshake))
	}
	return hs
}

// identify counts hs as client's from now on, or, if that is the zero Addr, as
// nobody's still, and calls begin. It does neither if hs has been told to end: then
// begin must not give it more time.
func (h *handshakes) identify(hs *handshake, client netip.Addr, begin func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hs.inAll == nil {
		return
	}
	begin()
	h.attribute(hs, client)
}

// attribute puts hs, which is in all, into the list of its source. mu is held.
func (h *handshakes) attribute(hs *handshake, client netip.Addr) {
	if !client.IsValid() || client.IsLoopback() {
		return
	}
	hs.source = core.SourceOf(client)
	by := h.bySource[hs.source]
	if by == nil {
		by = list.New()
		h.bySource[hs.source] = by
	}
	hs.inBy = by.PushBack(hs)
	if by.Len() > maxPerSource {
		h.tell(by.Front().Value.(*handshake))
	}
}

// tell ends a handshake. Those that were told a while ago are told again: one that
// was just changing its deadline has not heard it, and none may stay beyond the bound.
func (h *handshakes) tell(hs *handshake) {
	now := time.Now()
	for other := range h.ending {
		if now.Sub(other.told) >= endPause {
			other.told = now
			other.end()
		}
	}
	h.unlist(hs)
	h.ending[hs] = struct{}{}
	hs.told = now
	hs.end()
}

// unlist takes hs out of the lists.
func (h *handshakes) unlist(hs *handshake) {
	if hs.inAll == nil {
		return
	}
	h.all.Remove(hs.inAll)
	hs.inAll = nil
	if hs.inBy == nil {
		return
	}
	by := h.bySource[hs.source]
	if by.Remove(hs.inBy); by.Len() == 0 {
		delete(h.bySource, hs.source)
	}
	hs.inBy = nil
}

// told reports whether hs was told to end.
func (h *handshakes) told(hs *handshake) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, told := h.ending[hs]
	return told
}

// remove takes hs out: its request is served, or it has ended. It may be called
// again.
func (h *handshakes) remove(hs *handshake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unlist(hs)
	delete(h.ending, hs)
	if h.idle != nil && h.empty() {
		close(h.idle)
		h.idle = nil
	}
}

func (h *handshakes) empty() bool { return h.all.Len() == 0 && len(h.ending) == 0 }

// wait returns when the set is empty, or when ctx ends.
func (h *handshakes) wait(ctx context.Context) error {
	h.mu.Lock()
	if h.empty() {
		h.mu.Unlock()
		return nil
	}
	if h.idle == nil {
		h.idle = make(chan struct{})
	}
	idle := h.idle
	h.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endAll tells every handshake to end, those that were told before too.
func (h *handshakes) endAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for hs := range h.ending {
		hs.end()
	}
	for e := h.all.Front(); e != nil; e = h.all.Front() {
		h.tell(e.Value.(*handshake))
	}
}
