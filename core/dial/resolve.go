package dial

import (
	"context"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Resolve returns the middleware of a resolver, under the bounds of names. The
// middleware sets the addresses of a request whose target is a name; the request keeps
// the name.
func Resolve(r core.Resolver, names *Names) core.Middleware {
	return resolving{resolver: r, names: names}
}

// Named returns m with the name that its lookups have in the steps of requests, if it is the
// middleware of a resolver.
func Named(id string, m core.Middleware) core.Middleware {
	if r, ok := m.(resolving); ok {
		r.id = id
		return r
	}
	return m
}

type resolving struct {
	id       string // in steps of requests
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
	ips, err := LookUp(ctx, r.Flow, m.id, m.resolver, r.Target.Name())
	if err != nil {
		return nil, err
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
	return ResolvePackets(next, m.id, m.resolver, r, m.names), nil
}

// CheckPackets returns the result of the next stage.
func (m resolving) CheckPackets() error { return m.next.CheckPackets() }

// PayloadWait returns the result of the next stage.
func (m resolving) PayloadWait(r *core.Request) time.Duration { return m.next.PayloadWait(r) }
