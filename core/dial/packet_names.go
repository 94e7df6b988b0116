package dial

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// ResolvePackets returns a PacketConn of the request r that sends datagrams to names to
// one of the addresses that the resolver returns, which id names in the steps of requests: to OneOf the addresses or, over the
// bare network, to the first address that Control allows and the kernel has a route to.
//
// While a name is looked up, its datagrams wait; all others pass. With the default of
// 256 names in [process], an association has that many names and 256 KiB of waiting
// datagrams, 64 of them for one name. 64 names are looked up at once and further ones
// wait for their turn. What exceeds these bounds is dropped, counted and logged.
//
// A name in use keeps its address during a repeated lookup. It keeps the address
// afterwards too if the answer contains that address or is empty.
func ResolvePackets(next core.PacketConn, id string, resolver core.Resolver, r *core.Request, names *Names) core.PacketConn {
	pick := func(ips []netip.Addr, _ uint16) netip.Addr { return OneOf(ips) }
	if bare, ok := next.(*resolvingPackets); ok {
		pick = bare.pick
	}
	return resolvePackets(next, id, resolver, r, names, pick)
}

// resolvePackets is ResolvePackets with pick for the choice of the address.
func resolvePackets(next core.PacketConn, id string, resolver core.Resolver, r *core.Request, names *Names, pick func([]netip.Addr, uint16) netip.Addr) core.PacketConn {
	return &resolvingPackets{next: next, id: id, resolver: resolver, request: r, bounds: names, pick: pick, most: names.OfAssociation()}
}

type resolvingPackets struct {
	next     core.PacketConn
	id       string // of the resolver, in steps of requests
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
			c.bounds.Dropped(c.request, name)
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
			c.bounds.Dropped(c.request, name)
			c.request.Flow.Drop(core.DropCrowded, 1)
		}
	}
	return ready, kept, nil
}

// atOnce returns how many names may be looked up at once, and how many datagrams may
// wait for one name.
func (c *resolvingPackets) atOnce() int { return max(1, c.most/4) }

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
