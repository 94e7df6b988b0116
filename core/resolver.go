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

// SystemResolver asks the operating system. The zero value is ready.
type SystemResolver struct{}

var _ Resolver = SystemResolver{}

// LookupIP asks for IPv4 and IPv6 addresses. The name is taken as fully
// qualified: search domains are not applied. "localhost" and the names under it
// are loopback without a question (RFC 6761 §6.3).
func (SystemResolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	name = strings.TrimSuffix(name, ".")
	if strings.EqualFold(name, "localhost") || len(name) > 10 && strings.EqualFold(name[len(name)-10:], ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name+".")
	if err != nil {
		return nil, err
	}
	for i, ip := range ips {
		ips[i] = ip.Unmap()
	}
	return ips, nil
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
	if err != nil {
		return nil, err
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
