package dial

import (
	"context"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Times of the names of one association. Its other bounds follow from the number of
// names, see Bounds.Association.
const (
	lookupTimeout = 10 * time.Second // of one name
	nameLife      = 30 * time.Second // after which a name in use is looked up again
	nameFailed    = 5 * time.Second  // the same after a failed lookup
)

// lookup is the cache entry of a name.
type lookup struct {
	name    string
	port    uint16        // of the first datagram
	ip      netip.Addr    // not valid before the first successful lookup
	until   time.Time     // when the name is looked up again
	running bool          // a lookup is in progress, or waits for its turn
	waiting []core.Packet // copies of datagrams that wait for the first address
}

// startLookup starts a lookup of a name, or has a new name wait for its turn. l is the
// entry of the name, or nil for a new name. startLookup returns the entry, or nil if
// there is no room for a new name. mu is held.
func (c *resolvingPackets) startLookup(name string, l *lookup, port uint16, now time.Time) *lookup {
	full := c.pending >= c.atOnce()
	if l != nil && l.ip.IsValid() && full {
		return l // its address is used on
	}
	if c.names == nil {
		c.names = map[string]*lookup{}
		c.ctx, c.cancel = context.WithCancel(core.ForRequest(context.Background(), c.request))
	}
	if l == nil {
		if len(c.names) >= c.most && !c.evict(now) {
			return nil
		}
		l = &lookup{name: name, port: port}
		c.names[name] = l
	}
	l.running = true
	if full {
		c.queue = append(c.queue, l)
		return l
	}
	c.pending++
	go c.find(c.ctx, l)
	return l
}

// evict makes room for another name: it drops all expired entries or, if there are
// none, any entry whose lookup has ended. It returns false if there is none. mu is held.
func (c *resolvingPackets) evict(now time.Time) bool {
	var known *lookup
	for name, l := range c.names {
		switch {
		case l.running:
		case now.After(l.until):
			delete(c.names, name)
		default:
			known = l
		}
	}
	if len(c.names) >= c.most && known != nil {
		delete(c.names, known.name)
	}
	return len(c.names) < c.most
}

// find looks up a name and sends the datagrams that wait for the address.
func (c *resolvingPackets) find(ctx context.Context, l *lookup) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var found netip.Addr
	panicked := panics.Call(func() error {
		ips, err := LookUp(ctx, c.request.Flow, c.id, c.resolver, l.name)
		if err == nil {
			found = c.choose(l, ips, l.port)
		}
		return nil // a failed lookup drops the waiting datagrams, as a network does
	})
	waiting, closed := c.finishLookup(l, found)
	if panicked != nil {
		c.request.Flow.Cut(panicked)
	}
	if !closed && !found.IsValid() {
		c.request.Flow.Drop(core.DropName, len(waiting))
	}
	if closed || !found.IsValid() || len(waiting) == 0 {
		return
	}
	for i := range waiting {
		waiting[i].Addr = core.NewIPAddr(found, waiting[i].Addr.Port())
	}
	err := panics.Call(func() error {
		_, err := c.next.WritePackets(waiting)
		return err
	})
	if err != nil {
		c.request.Flow.Cut(err)
	}
}

// choose returns the current address of l if ips contains it, because a running flow
// must not change its target. Otherwise it picks an address of ips.
func (c *resolvingPackets) choose(l *lookup, ips []netip.Addr, port uint16) netip.Addr {
	c.mu.Lock()
	known := l.ip
	c.mu.Unlock()
	for _, ip := range ips {
		if ip.Unmap() == known {
			return known
		}
	}
	return c.pick(ips, port)
}

// finishLookup ends a lookup with its result found, and starts the next one of the
// queue. If found is not valid, the lookup failed and the entry keeps its previous
// address. finishLookup returns the datagrams that waited.
func (c *resolvingPackets) finishLookup(l *lookup, found netip.Addr) (waiting []core.Packet, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, l.waiting, l.running = l.waiting, nil, false
	for i := range waiting {
		c.bytes -= len(waiting[i].Data)
	}
	l.until = time.Now().Add(nameFailed)
	if found.IsValid() {
		l.ip, l.until = found, time.Now().Add(nameLife)
	}
	switch {
	case len(c.queue) == 0 || c.closed:
		c.pending--
	default:
		next := c.queue[0]
		c.queue = c.queue[1:]
		go c.find(c.ctx, next)
	}
	return waiting, c.closed
}
