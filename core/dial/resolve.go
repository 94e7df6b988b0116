package dial

import (
	"context"
	"net"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Resolve returns the middleware of a resolver, under the bounds of names. The
// middleware sets the addresses of a request whose target is a name; the request keeps
// the name.
func Resolve(r core.Resolver, names *Names) core.Middleware {
	return resolving{resolver: r, names: names}
}

type resolving struct {
	resolver core.Resolver
	names    *Names
	next     core.Dialer
}

// Wrap implements Middleware.
func (m resolving) Wrap(next core.Dialer) core.Dialer {
	m.next = next
	return m
}

// DialStream resolves the target, unless an earlier stage has resolved it.
func (m resolving) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	if r.Target.Name() == "" || len(r.IPs) > 0 {
		return m.next.DialStream(ctx, r)
	}
	ips, err := m.resolver.LookupIP(ctx, r.Target.Name())
	switch {
	case err != nil:
		return nil, err
	case len(ips) == 0: // without addresses the next stage might query another resolver
		return nil, &net.DNSError{Err: "no address", Name: r.Target.Name(), IsNotFound: true}
	}
	known := *r
	known.IPs = ips
	return m.next.DialStream(ctx, &known)
}

// OpenPackets resolves the target of each datagram; see ResolvePackets.
func (m resolving) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	next, err := m.next.OpenPackets(ctx, r)
	if err != nil {
		return nil, err
	}
	return ResolvePackets(next, m.resolver, r, m.names), nil
}

// CheckPackets returns the result of the next stage.
func (m resolving) CheckPackets() error { return m.next.CheckPackets() }

// PayloadWait returns the result of the next stage.
func (m resolving) PayloadWait(r *core.Request) time.Duration { return m.next.PayloadWait(r) }
