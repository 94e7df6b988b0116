package dns

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// addressLife is how long the addresses of a server's name are used before the
// operating system resolves the name again.
const addressLife = 5 * time.Minute

// endpoint is the address of a server and the way to reach it.
type endpoint struct {
	server core.Addr
	fixed  []netip.Addr // of a server given by name; if empty the operating system resolves it
	dialer core.Dialer  // dial.Net, or an outbound over it
	via    bool         // dialer is an outbound, which accepts names
	nextID func() uint64
	system core.Resolver // the operating system's

	mu    sync.Mutex
	known []netip.Addr // of the server's name; guarded by mu, as all that follows
	until time.Time
	first int // index in known of the address to try first
}

// request returns the request for the dialer.
func (p *endpoint) request(ctx context.Context) (*core.Request, error) {
	r := &core.Request{ID: p.nextID(), Target: p.server, IPs: p.fixed, Flow: new(core.Flow)}
	if p.server.Name() == "" || len(p.fixed) > 0 || p.via {
		return r, nil
	}
	ips, err := p.addresses(ctx)
	r.IPs = ips
	return r, err
}

// stream connects to the server.
func (p *endpoint) stream(ctx context.Context) (net.Conn, error) {
	r, err := p.request(ctx)
	if err != nil {
		return nil, err
	}
	s, err := p.dialer.DialStream(ctx, r)
	if err != nil {
		return nil, err
	}
	if conn := netio.Bare(s); conn != nil {
		return newEager(conn), nil
	}
	return s, nil
}

// addresses returns the server's addresses, the one to try first at the front.
func (p *endpoint) addresses(ctx context.Context) ([]netip.Addr, error) {
	p.mu.Lock()
	if len(p.known) > 0 && time.Now().Before(p.until) {
		defer p.mu.Unlock()
		return append(p.known[p.first:len(p.known):len(p.known)], p.known[:p.first]...), nil
	}
	p.mu.Unlock()
	ips, err := p.system.LookupIP(ctx, p.server.Name())
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known, p.first, p.until = ips, 0, time.Now().Add(addressLife)
	return ips, nil
}

// address returns one address, for UDP without an outbound.
func (p *endpoint) address(ctx context.Context) (netip.AddrPort, error) {
	if ip := p.server.IP(); ip.IsValid() {
		return netip.AddrPortFrom(ip, p.server.Port()), nil
	}
	p.mu.Lock()
	if len(p.fixed) > 0 {
		p.known, p.until = p.fixed, time.Now().Add(addressLife)
	}
	p.mu.Unlock()
	ips, err := p.addresses(ctx)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(ips[0], p.server.Port()), nil
}

// missed selects the server's next address, after one that did not answer.
func (p *endpoint) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) > 0 {
		p.first = (p.first + 1) % len(p.known)
	}
}
