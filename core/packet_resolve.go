package core

import (
	"context"
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
	lookupTimeout = 10 * time.Second // for one name
	nameLife      = 30 * time.Second // for which an address is used without asking again
	nameFailed    = 5 * time.Second  // for which a name that was not found is not asked for again
)

// ResolvePackets returns a PacketConn whose datagrams to names go to the first
// address that r finds. While a name is looked up its datagrams wait, at most 16
// of them; all others pass. At most 8 names are looked up at once.
func ResolvePackets(next PacketConn, r Resolver, f *Flow) PacketConn {
	return resolvePackets(next, r, f, func(ips []netip.Addr, _ uint16) netip.Addr { return ips[0] })
}

// resolvePackets is ResolvePackets with a choice of the address.
func resolvePackets(next PacketConn, r Resolver, f *Flow, pick func([]netip.Addr, uint16) netip.Addr) PacketConn {
	return &resolvingPackets{next: next, resolver: r, flow: f, pick: pick}
}

type resolvingPackets struct {
	next     PacketConn
	resolver Resolver
	flow     *Flow
	pick     func(ips []netip.Addr, port uint16) netip.Addr // not valid for none

	mu      sync.Mutex
	closed  bool               // guarded by mu, as all that follows
	names   map[string]*lookup // nil until there is a name
	pending int                // lookups in progress
	ctx     context.Context    // of the lookups
	cancel  context.CancelFunc // ends ctx
}

// lookup is what is known of a name.
type lookup struct {
	ip      netip.Addr // not valid if it was not found
	until   time.Time  // for how long that holds; zero while it is looked up
	waiting []Packet   // copies
}

// WritePackets passes on what has an address, and keeps for later what has a
// name that is being looked up.
func (c *resolvingPackets) WritePackets(ps []Packet) (int, error) {
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
func (c *resolvingPackets) resolve(ps []Packet) (ready []Packet, kept int, err error) {
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
		if l != nil && !l.until.IsZero() && now.After(l.until) {
			delete(c.names, name)
			l = nil
		}
		switch {
		case l == nil:
			if c.ask(name, p, now) {
				kept++
			}
		case l.until.IsZero():
			if len(l.waiting) < maxWaiting {
				l.waiting = append(l.waiting, clonePacket(p))
				kept++
			}
		case l.ip.IsValid():
			p.Addr = NewIPAddr(l.ip, p.Addr.Port())
			ready = append(ready, p)
		}
	}
	return ready, kept, nil
}

// ask begins to look up a name for p, unless too many are. mu is held.
func (c *resolvingPackets) ask(name string, p Packet, now time.Time) bool {
	if c.pending == maxLookups {
		return false
	}
	if c.names == nil {
		c.names = map[string]*lookup{}
		c.ctx, c.cancel = context.WithCancel(context.Background())
	}
	if len(c.names) >= maxNames {
		c.forget(now)
	}
	l := &lookup{waiting: []Packet{clonePacket(p)}}
	c.names[name] = l
	c.pending++
	go c.find(c.ctx, name, p.Addr.Port(), l)
	return true
}

// forget makes room for another name: all that is out of date goes, or else any
// that is known. mu is held.
func (c *resolvingPackets) forget(now time.Time) {
	var known string
	for name, l := range c.names {
		switch {
		case l.until.IsZero():
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
	var ip netip.Addr
	panicked := guard(func() error {
		ips, err := c.resolver.LookupIP(ctx, name)
		if err == nil && len(ips) > 0 {
			ip = c.pick(ips, port)
		}
		return nil // to those who wait, one that is not found is lost on the way
	})
	c.mu.Lock()
	waiting := l.waiting
	l.waiting, l.ip, l.until = nil, ip, time.Now().Add(nameFailed)
	if ip.IsValid() {
		l.until = time.Now().Add(nameLife)
	}
	c.pending--
	closed := c.closed
	c.mu.Unlock()
	if panicked != nil {
		c.flow.Cut(panicked)
	}
	if closed || !ip.IsValid() {
		return
	}
	for i := range waiting {
		waiting[i].Addr = NewIPAddr(ip, waiting[i].Addr.Port())
	}
	err := guard(func() error {
		_, err := c.next.WritePackets(waiting)
		return err
	})
	if err != nil {
		c.flow.Cut(err)
	}
}

// clonePacket copies a datagram that must wait.
func clonePacket(p Packet) Packet {
	return Packet{Addr: p.Addr, Data: append([]byte(nil), p.Data...)}
}

// Receive passes on what comes.
func (c *resolvingPackets) Receive(sink PacketSink) { c.next.Receive(sink) }

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
