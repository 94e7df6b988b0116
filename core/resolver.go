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

// Found is one address of a name, with its source.
type Found struct {
	IP     netip.Addr
	TTL    time.Duration // for how long it is valid from now on; 0 if that is not known
	From   string        // its source: a server, a file
	Cached bool          // it was answered from memory
}

// Teller is a Resolver that can name the sources of its answers.
type Teller interface {
	Resolver
	// Tell is LookupIP with the source of each address.
	Tell(ctx context.Context, name string) ([]Found, error)
}

// Tell looks name up, with the source of each address if r is a Teller.
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
