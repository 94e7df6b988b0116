package core

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
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
	idle     chan struct{}               // closed when all is empty, if someone waits
}

// handshake is one member of the set.
type handshake struct {
	source      netip.Prefix
	end         func() // ends it soon, and quietly
	inAll, inBy *list.Element
	ended       bool
}

func newHandshakes(most int) *handshakes {
	return &handshakes{max: most, all: list.New(), bySource: map[netip.Prefix]*list.List{}}
}

// add takes in a connection from client. end is called if it must make room.
func (h *handshakes) add(client netip.Addr, end func()) *handshake {
	hs := &handshake{source: sourceOf(client), end: end}
	var oldest []*handshake
	h.mu.Lock()
	hs.inAll = h.all.PushBack(hs)
	if h.all.Len() > h.max {
		oldest = appendOldest(oldest, h.all)
	}
	if !client.IsLoopback() {
		by := h.bySource[hs.source]
		if by == nil {
			by = list.New()
			h.bySource[hs.source] = by
		}
		hs.inBy = by.PushBack(hs)
		if by.Len() > maxPerSource {
			oldest = appendOldest(oldest, by)
		}
	}
	h.mu.Unlock()
	for _, o := range oldest {
		o.end()
	}
	return hs
}

// appendOldest appends the oldest handshake of l that has not been told to end.
func appendOldest(to []*handshake, l *list.List) []*handshake {
	for e := l.Front(); e != nil; e = e.Next() {
		if hs := e.Value.(*handshake); !hs.ended {
			hs.ended = true
			return append(to, hs)
		}
	}
	return to
}

// remove takes hs out: its request is served, or it has ended. It may be called
// again.
func (h *handshakes) remove(hs *handshake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hs.inAll == nil {
		return
	}
	h.all.Remove(hs.inAll)
	hs.inAll = nil
	if hs.inBy != nil {
		by := h.bySource[hs.source]
		if by.Remove(hs.inBy); by.Len() == 0 {
			delete(h.bySource, hs.source)
		}
	}
	if h.all.Len() == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// wait returns when the set is empty, or when ctx ends.
func (h *handshakes) wait(ctx context.Context) error {
	h.mu.Lock()
	if h.all.Len() == 0 {
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

// endAll tells every handshake to end.
func (h *handshakes) endAll() {
	h.mu.Lock()
	all := make([]*handshake, 0, h.all.Len())
	for e := h.all.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*handshake))
	}
	h.mu.Unlock()
	for _, hs := range all {
		hs.end()
	}
}

// sourceOf returns what counts as one client: an IPv4 address, or the /64 of an
// IPv6 address, which is what one customer has.
func sourceOf(client netip.Addr) netip.Prefix {
	bits := client.BitLen()
	if client.Is6() {
		bits = 64
	}
	p, _ := client.Prefix(bits)
	return p
}
