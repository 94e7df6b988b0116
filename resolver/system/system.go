// Package system is the resolver of the operating system, as a stage of a chain.
package system

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [resolver.x] table of kind "system".
type Options struct {
	_      core.About    `help:"uses the operating system's resolver; caches nothing itself"`
	Prefer option.Family `toml:"prefer" default:"auto" help:"addresses to try first: ipv4, ipv6, or auto for IPv6 where this machine has it; ipv4-only and ipv6-only leave the others out"`
}

// Resolver uses the operating system's resolver.
type Resolver struct {
	name    string
	queries *dial.Queries // belong to the process; nil until served

	from   core.Resolver
	family option.Family
	routes dial.Routes
}

var _ core.Teller = (*Resolver)(nil)

// New returns the resolver.
func New(env core.Env, o Options) (core.Resolver, error) {
	r := &Resolver{name: env.Name, from: dial.System(env.Process), family: o.Prefer}
	core.Keep(env, func(old *dial.Queries) *dial.Queries {
		if r.queries = old; old == nil {
			r.queries = dial.NewQueries()
		}
		return r.queries
	})
	return r, nil
}

// LookupIP implements core.Resolver.
func (r *Resolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	began := time.Now()
	ips, err := r.from.LookupIP(ctx, name)
	r.queries.Count(resultOf(ctx, err), time.Since(began))
	if err != nil {
		return nil, err
	}
	if ips = r.family.Choose(ips, r.routes.IPv6); len(ips) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: name, IsNotFound: true}
	}
	return ips, nil
}

// resultOf returns how a lookup ended.
func resultOf(ctx context.Context, err error) dial.Result {
	d, ok := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return dial.ResultOK
	case errors.Is(ctx.Err(), context.Canceled):
		return dial.ResultCancelled
	case ok && d.IsNotFound:
		return dial.ResultMissing
	case ok && d.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return dial.ResultTimeout
	}
	return dial.ResultFailed
}

var _ core.Measurer = (*Resolver)(nil)

// Measure implements core.Measurer. Names that the machine itself has are counted too.
func (r *Resolver) Measure(yield func(core.Figure)) { r.queries.Measure(yield, r.name, "system") }

// Tell implements core.Teller. The operating system returns no TTL.
func (r *Resolver) Tell(ctx context.Context, name string) ([]core.Found, error) {
	ips, err := r.LookupIP(ctx, name)
	found := make([]core.Found, len(ips))
	for i, ip := range ips {
		found[i] = core.Found{IP: ip, From: "the operating system"}
	}
	return found, err
}
