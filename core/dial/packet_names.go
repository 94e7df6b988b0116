package dial

import (
	"context"
	"net"
	"net/netip"
	"sync"
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

// ResolvePackets returns a PacketConn of the request r that sends datagrams to names to
// one of the addresses that the resolver returns: to OneOf the addresses or, over the
// bare network, to the first address that Control allows and the kernel has a route to.
//
// While a name is looked up, its datagrams wait; all others pass. With the default of
// 256 names in [process], an association has that many names and 256 KiB of waiting
// datagrams, 64 of them for one name. 64 names are looked up at once and further ones
// wait for their turn. What exceeds these bounds is dropped, counted and logged.
//
// A name in use keeps its address during a repeated lookup. It keeps the address
// afterwards too if the answer contains that address or is empty.
func ResolvePackets(next core.PacketConn, resolver core.Resolver, r *core.Request, names *Names) core.PacketConn {
	pick := func(ips []netip.Addr, _ uint16) netip.Addr { return OneOf(ips) }
	if bare, ok := next.(*resolvingPackets); ok {
		pick = bare.pick
	}
	return resolvePackets(next, resolver, r, names, pick)
}

// resolvePackets is ResolvePackets with pick for the choice of the address.
func resolvePackets(next core.PacketConn, resolver core.Resolver, r *core.Request, names *Names, pick func([]netip.Addr, uint16) netip.Addr) core.PacketConn {
	return &resolvingPackets{next: next, resolver: resolver, request: r, bounds: names, pick: pick, most: names.ofAssociation()}
}

type resolvingPackets struct {
	next     core.PacketConn
	resolver core.Resolver
	request  *core.Request
	bounds   *Names
	most     int                                            // names
	pick     func(ips []netip.Addr, port uint16) netip.Addr // returns the zero Addr if none is usable

	mu      sync.Mutex
	closed  bool               // guarded by mu, as all that follows
	names   map[string]*lookup // nil until there is a name
	pending int                // lookups in progress
	queue   []*lookup          // new names that wait for their lookup
	bytes   int                // of all waiting datagrams
	ctx     context.Context    // of the lookups
	cancel  context.CancelFunc // ends ctx
}

// lookup is the cache entry of a name.
type lookup struct {
	name    string
	port    uint16        // of the first datagram
	ip      netip.Addr    // not valid before the first successful lookup
	until   time.Time     // when the name is looked up again
	running bool          // a lookup is in progress, or waits for its turn
	waiting []core.Packet // copies of datagrams that wait for the first address
}

// WritePackets sends the datagrams whose address is known, and queues copies of the
// datagrams to a name whose lookup is in progress.
func (c *resolvingPackets) WritePackets(ps []core.Packet) (int, error) {
	named := false
	for i := range ps {
		named = named || ps[i].Addr.Name() != ""
	}
	if !named {
		return c.next.WritePackets(ps)
	}
	ready, kept, err := c.resolve(ps)
	if len(ready) == 0 {
		return kept, err
	}
	n, err := c.next.WritePackets(ready)
	return kept + n, err
}

// resolve moves the datagrams whose address is known to the front of ps and sets their
// address. It returns these datagrams and how many of the others it has queued.
func (c *resolvingPackets) resolve(ps []core.Packet) (ready []core.Packet, kept int, err error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, 0, net.ErrClosed
	}
	ready = ps[:0]
	for _, p := range ps {
		name := p.Addr.Name()
		if name == "" {
			ready = append(ready, p)
			continue
		}
		l := c.names[name]
		if l == nil || !l.running && now.After(l.until) {
			l = c.startLookup(name, l, p.Addr.Port(), now)
		}
		switch {
		case l == nil:
			c.bounds.dropped(c.request, name)
			c.request.Flow.Drop(core.DropCrowded, 1)
		case l.ip.IsValid():
			p.Addr = core.NewIPAddr(l.ip, p.Addr.Port())
			ready = append(ready, p)
		case !l.running: // its lookup has failed a moment ago
			c.request.Flow.Drop(core.DropName, 1)
		case len(l.waiting) < c.atOnce() && c.bytes+len(p.Data) <= c.most<<10:
			l.waiting = append(l.waiting, clonePacket(p))
			c.bytes += len(p.Data)
			kept++
		default:
			c.bounds.dropped(c.request, name)
			c.request.Flow.Drop(core.DropCrowded, 1)
		}
	}
	return ready, kept, nil
}

// atOnce returns how many names may be looked up at once, and how many datagrams may
// wait for one name.
func (c *resolvingPackets) atOnce() int { return max(1, c.most/4) }

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
		ips, err := c.resolver.LookupIP(ctx, l.name)
		if err == nil && len(ips) > 0 {
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

// clonePacket copies a datagram that is queued.
func clonePacket(p core.Packet) core.Packet {
	return core.Packet{Addr: p.Addr, Data: append([]byte(nil), p.Data...)}
}

// Receive passes arriving datagrams to sink unchanged.
func (c *resolvingPackets) Receive(sink core.PacketSink) { c.next.Receive(sink) }

// Close drops the waiting datagrams, cancels the lookups and closes the wrapped
// connection.
func (c *resolvingPackets) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	return c.next.Close()
}
