package core

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Resolver finds the addresses of host names.
type Resolver interface {
	// LookupIP returns the addresses of name, IPv4 unmapped, in the order in
	// which they should be tried. An error that wraps a *net.DNSError says
	// whether the name exists.
	LookupIP(ctx context.Context, name string) ([]netip.Addr, error)
}

// Found is one address of a name, and what is known of it.
type Found struct {
	IP     netip.Addr
	TTL    time.Duration // for how long it holds from now on; 0 if nobody said
	From   string        // who said so: a server, a file
	Cached bool          // it had been said before
}

// Teller is a Resolver that can tell where its answers come from.
type Teller interface {
	Resolver
	// Tell is LookupIP with what is known of each address.
	Tell(ctx context.Context, name string) ([]Found, error)
}

// Tell looks name up and returns what r can tell of the answer.
func Tell(ctx context.Context, r Resolver, name string) ([]Found, error) {
	if t, ok := r.(Teller); ok {
		return t.Tell(ctx, name)
	}
	ips, err := r.LookupIP(ctx, name)
	found := make([]Found, len(ips))
	for i, ip := range ips {
		found[i].IP = ip
	}
	return found, err
}

// OneOf returns the address for somebody else to dial, who gets only one: the first of
// IPv4 or, where there is none, the first. Whether there is a way to IPv6 over there,
// nobody knows here. There is at least one.
func OneOf(ips []netip.Addr) netip.Addr {
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip
		}
	}
	return ips[0]
}

// OwnName answers for names that no server may be asked about: localhost and the
// names under it are loopback (RFC 6761 §6.3), and there is none under invalid
// (§6.4) and, outside of Tor, onion (RFC 7686). It returns false for other names.
func OwnName(name string) (ips []netip.Addr, ok bool, err error) {
	name = strings.TrimSuffix(name, ".")
	switch last := name[strings.LastIndexByte(name, '.')+1:]; {
	case strings.EqualFold(last, "localhost"):
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, true, nil
	case strings.EqualFold(last, "invalid"), strings.EqualFold(last, "onion"):
		return nil, true, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return nil, false, nil
}

// SystemResolver asks the operating system. The zero value is ready.
type SystemResolver struct{}

var _ Teller = SystemResolver{}

// LookupIP asks for IPv4 and IPv6 addresses. The name is taken as fully
// qualified: search domains are not applied. OwnName's names are not asked for.
func (SystemResolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	if ips, ok, err := OwnName(name); ok {
		return ips, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(name, ".")+".")
	if err != nil {
		return nil, err
	}
	for i, ip := range ips {
		ips[i] = ip.Unmap()
	}
	return ips, nil
}

// Tell says that the operating system said so.
func (s SystemResolver) Tell(ctx context.Context, name string) ([]Found, error) {
	ips, err := s.LookupIP(ctx, name)
	found := make([]Found, len(ips))
	for i, ip := range ips {
		found[i] = Found{IP: ip, From: "the operating system"}
	}
	return found, err
}

// Resolve returns the middleware of a resolver: it sets the addresses of a
// request whose target is a name, and keeps the name.
func Resolve(r Resolver) Middleware { return resolving{resolver: r} }

type resolving struct {
	resolver Resolver
	next     Dialer
}

// Wrap implements Middleware.
func (m resolving) Wrap(next Dialer) Dialer { return resolving{resolver: m.resolver, next: next} }

// DialStream resolves the target, unless an earlier stage has.
func (m resolving) DialStream(ctx context.Context, r *Request) (Stream, error) {
	if r.Target.Name() == "" || len(r.IPs) > 0 {
		return m.next.DialStream(ctx, r)
	}
	ips, err := m.resolver.LookupIP(ctx, r.Target.Name())
	switch {
	case err != nil:
		return nil, err
	case len(ips) == 0: // else the next stage might ask somebody else
		return nil, &net.DNSError{Err: "no address", Name: r.Target.Name(), IsNotFound: true}
	}
	known := *r
	known.IPs = ips
	return m.next.DialStream(ctx, &known)
}

// OpenPackets resolves the target of each datagram; see ResolvePackets.
func (m resolving) OpenPackets(ctx context.Context, r *Request) (PacketConn, error) {
	next, err := m.next.OpenPackets(ctx, r)
	if err != nil {
		return nil, err
	}
	return ResolvePackets(next, m.resolver, r.Flow), nil
}

// CheckPackets returns what the next stage says.
func (m resolving) CheckPackets() error { return m.next.CheckPackets() }

// PayloadWait returns what the next stage wants.
func (m resolving) PayloadWait(r *Request) time.Duration { return m.next.PayloadWait(r) }
