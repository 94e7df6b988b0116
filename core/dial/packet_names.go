package dial

import (
	"context"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds on the names of one association.
const (
	maxLookups    = 8                // in progress at once
	maxNames      = 64               // remembered
	maxWaiting    = 16               // datagrams that wait for one name
	maxWaitBytes  = 64 << 10         // of all datagrams that wait
	lookupTimeout = 10 * time.Second // for one name
	nameLife      = 30 * time.Second // after which a name in use is asked for again
	nameFailed    = 5 * time.Second  // the same after a question that failed
)

// ResolvePackets returns a PacketConn whose datagrams to names go to one of the
// addresses that r finds: OneOf them or, over the bare network, the first that may be
// reached and to which there is a way. While a name is looked up its datagrams wait,
// at most 16 of them and 64 KiB in all; all others pass. At most 8 names are looked up
// at once. A name in use keeps its address while it is asked for again, and after it
// too, if that is still among the answers or if there is none.
func ResolvePackets(next core.PacketConn, r core.Resolver, f *core.Flow) core.PacketConn {
	if bare, ok := next.(*resolvingPackets); ok {
		return resolvePackets(next, r, f, bare.pick)
	}
	return resolvePackets(next, r, f, func(ips []netip.Addr, _ uint16) netip.Addr { return OneOf(ips) })
}

// resolvePackets is ResolvePackets with a choice of the address.
func resolvePackets(next core.PacketConn, r core.Resolver, f *core.Flow, pick func([]netip.Addr, uint16) netip.Addr) core.PacketConn {
	return &resolvingPackets{next: next, resolver: r, flow: f, pick: pick}
}

type resolvingPackets struct {
	next     core.PacketConn
	resolver core.Resolver
	flow     *core.Flow
	pick     func(ips []netip.Addr, port uint16) netip.Addr // not valid for none

	mu      sync.Mutex
	closed  bool               // guarded by mu, as all that follows
	names   map[string]*lookup // nil until there is a name
	pending int                // lookups in progress
	bytes   int                // of datagrams that wait
	ctx     context.Context    // of the lookups
	cancel  context.CancelFunc // ends ctx
}

// lookup is what is known of a name.
type lookup struct {
	ip      netip.Addr    // not valid if it was not found, or not yet
	until   time.Time     // when to ask again
	asking  bool          // it is being looked up
	waiting []core.Packet // copies, while there is no address
}

// WritePackets passes on what has an address, and keeps for later what has a
// name that is being looked up.
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

// resolve moves the datagrams whose address is known to the front of ps, with
// that address, and returns them and how many of the others it has kept.
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
		if l == nil || !l.asking && now.After(l.until) {
			l = c.ask(name, l, p.Addr.Port(), now)
		}
		switch {
		case l == nil: // too many names
		case l.ip.IsValid():
			p.Addr = core.NewIPAddr(l.ip, p.Addr.Port())
			ready = append(ready, p)
		case l.asking && len(l.waiting) < maxWaiting && c.bytes+len(p.Data) <= maxWaitBytes:
			l.waiting = append(l.waiting, clonePacket(p))
			c.bytes += len(p.Data)
			kept++
		}
	}
	return ready, kept, nil
}

// ask begins to look up a name, known as l or, if that is nil, not known. It
// returns what is known of it then: nothing if too many are looked up. mu is held.
func (c *resolvingPackets) ask(name string, l *lookup, port uint16, now time.Time) *lookup {
	if c.pending == maxLookups {
		return l
	}
	if c.names == nil {
		c.names = map[string]*lookup{}
		c.ctx, c.cancel = context.WithCancel(context.Background())
	}
	if l == nil {
		if len(c.names) >= maxNames {
			c.forget(now)
		}
		l = new(lookup)
		c.names[name] = l
	}
	l.asking = true
	c.pending++
	go c.find(c.ctx, name, port, l)
	return l
}

// forget makes room for another name: all that is out of date goes, or else any
// that is known. mu is held.
func (c *resolvingPackets) forget(now time.Time) {
	var known string
	for name, l := range c.names {
		switch {
		case l.asking:
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

// find looks up a name and sends what waits for it.
func (c *resolvingPackets) find(ctx context.Context, name string, port uint16, l *lookup) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var found netip.Addr
	panicked := panics.Call(func() error {
		ips, err := c.resolver.LookupIP(ctx, name)
		if err == nil && len(ips) > 0 {
			found = c.choose(l, ips, port)
		}
		return nil // to those who wait, one that is not found is lost on the way
	})
	waiting, closed := c.learn(l, found)
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

// choose returns the address that l has, if it is still among ips: a flow that
// runs must not change its target. Else it is a new one.
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

// learn ends a lookup with the address that was found, which is not valid for
// none; an address that was known before stays then. It returns the datagrams that
// waited.
func (c *resolvingPackets) learn(l *lookup, found netip.Addr) (waiting []core.Packet, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, l.waiting, l.asking = l.waiting, nil, false
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

// clonePacket copies a datagram that must wait.
func clonePacket(p core.Packet) core.Packet {
	return core.Packet{Addr: p.Addr, Data: append([]byte(nil), p.Data...)}
}

// Receive passes on what comes.
func (c *resolvingPackets) Receive(sink core.PacketSink) { c.next.Receive(sink) }

// Close drops what waits and closes the next connection.
func (c *resolvingPackets) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	return c.next.Close()
}
