package core

import (
	"context"
	"net/netip"
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
