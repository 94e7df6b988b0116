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

// Bounds on the names of one association.
const (
	maxLookups    = 8                // lookups in progress at once
	maxNames      = 64               // cached names
	maxWaiting    = 16               // datagrams that wait for one name
	maxWaitBytes  = 64 << 10         // bytes of all waiting datagrams
	lookupTimeout = 10 * time.Second // of one name
	nameLife      = 30 * time.Second // after which a name in use is looked up again
	nameFailed    = 5 * time.Second  // the same after a failed lookup
)

// ResolvePackets returns a PacketConn that sends datagrams to names to one of the
// addresses that r returns: to OneOf the addresses or, over the bare network, to the
// first address that Control allows and the kernel has a route to. While a name is
// looked up, its datagrams wait, at most 16 of one name and 64 KiB in all; all other
// datagrams pass. At most 8 names are looked up at once. A name in use keeps its address
// during a repeated lookup. It keeps the address afterwards too if the answer contains
// that address or is empty.
func ResolvePackets(next core.PacketConn, r core.Resolver, f *core.Flow) core.PacketConn {
	if bare, ok := next.(*resolvingPackets); ok {
		return resolvePackets(next, r, f, bare.pick)
	}
	return resolvePackets(next, r, f, func(ips []netip.Addr, _ uint16) netip.Addr { return OneOf(ips) })
}

// resolvePackets is ResolvePackets with pick for the choice of the address.
func resolvePackets(next core.PacketConn, r core.Resolver, f *core.Flow, pick func([]netip.Addr, uint16) netip.Addr) core.PacketConn {
	return &resolvingPackets{next: next, resolver: r, flow: f, pick: pick}
}

type resolvingPackets struct {
	next     core.PacketConn
	resolver core.Resolver
	flow     *core.Flow
	pick     func(ips []netip.Addr, port uint16) netip.Addr // returns the zero Addr if none is usable

	mu      sync.Mutex
	closed  bool               // guarded by mu, as all that follows
	names   map[string]*lookup // nil until there is a name
	pending int                // lookups in progress
	bytes   int                // of all waiting datagrams
	ctx     context.Context    // of the lookups
	cancel  context.CancelFunc // ends ctx
}

// lookup is the cache entry of a name.
type lookup struct {
	ip      netip.Addr    // not valid before the first successful lookup
	until   time.Time     // when the name is looked up again
	running bool          // a lookup is in progress
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
		case l == nil: // too many lookups: the datagram is dropped
		case l.ip.IsValid():
			p.Addr = core.NewIPAddr(l.ip, p.Addr.Port())
			ready = append(ready, p)
		case l.running && len(l.waiting) < maxWaiting && c.bytes+len(p.Data) <= maxWaitBytes:
			l.waiting = append(l.waiting, clonePacket(p))
			c.bytes += len(p.Data)
			kept++
		}
	}
	return ready, kept, nil
}

// startLookup starts a lookup of a name. l is the entry of the name, or nil for a new
// name. startLookup returns the entry. If maxLookups are in progress it starts nothing
// and returns l. mu is held.
func (c *resolvingPackets) startLookup(name string, l *lookup, port uint16, now time.Time) *lookup {
	if c.pending == maxLookups {
		return l
	}
	if c.names == nil {
		c.names = map[string]*lookup{}
		c.ctx, c.cancel = context.WithCancel(context.Background())
	}
	if l == nil {
		if len(c.names) >= maxNames {
			c.evict(now)
		}
		l = new(lookup)
		c.names[name] = l
	}
	l.running = true
	c.pending++
	go c.find(c.ctx, name, port, l)
	return l
}

// evict makes room for another name: it drops all expired entries or, if there are
// none, any entry without a running lookup. mu is held.
func (c *resolvingPackets) evict(now time.Time) {
	var known string
	for name, l := range c.names {
		switch {
		case l.running:
		case now.After(l.until):
			delete(c.names, name)
		default:
			known = name
		}
	}
	if len(c.names) >= maxNames {
		delete(c.names, known)
	}
}

// find looks up a name and sends the datagrams that wait for the address.
func (c *resolvingPackets) find(ctx context.Context, name string, port uint16, l *lookup) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var found netip.Addr
	panicked := panics.Call(func() error {
		ips, err := c.resolver.LookupIP(ctx, name)
		if err == nil && len(ips) > 0 {
			found = c.choose(l, ips, port)
		}
		return nil // a failed lookup drops the waiting datagrams, as a network does
	})
	waiting, closed := c.finishLookup(l, found)
	if panicked != nil {
		c.flow.Cut(panicked)
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
		c.flow.Cut(err)
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

// finishLookup ends a lookup with its result found. If found is not valid, the lookup
// failed and the entry keeps its previous address. finishLookup returns the datagrams
// that waited.
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
	c.pending--
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
