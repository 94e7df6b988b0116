// Package system is the resolver of the operating system, as a stage of a chain.
package system

import (
	"context"
	"net"
	"net/netip"

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
	from   core.Resolver
	family option.Family
	routes dial.Routes
}

var _ core.Teller = (*Resolver)(nil)

// New returns the resolver.
func New(env core.Env, o Options) (core.Resolver, error) {
	return &Resolver{from: dial.System(env.Process), family: o.Prefer}, nil
}

// LookupIP implements core.Resolver.
func (r *Resolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	ips, err := r.from.LookupIP(ctx, name)
	if err != nil {
		return nil, err
	}
	if ips = r.family.Choose(ips, r.routes.IPv6); len(ips) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: name, IsNotFound: true}
	}
	return ips, nil
}

// Tell implements core.Teller. The operating system returns no TTL.
func (r *Resolver) Tell(ctx context.Context, name string) ([]core.Found, error) {
	ips, err := r.LookupIP(ctx, name)
	found := make([]core.Found, len(ips))
	for i, ip := range ips {
		found[i] = core.Found{IP: ip, From: "the operating system"}
	}
	return found, err
}
