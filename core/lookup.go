package core

import (
	"context"
	"fmt"
	"net/netip"
)

// Answer is what a lookup for a client found: addresses of a name, or the name of an
// address.
type Answer struct {
	IPs  []netip.Addr
	Name string
}

// Finder is a Dialer that can look up the target of a request and dial nothing. It asks
// the resolver that a dial would ask, and denies what a dial would be denied.
type Finder interface {
	// Find returns r.IPs if there are any, else the addresses of r.Target if it is a
	// name, else the name of r.Target. It returns ErrNoLookups if another machine does
	// the lookups of this Dialer, or its resolver has no names of addresses.
	Find(ctx context.Context, r *Request) (Answer, error)
}

// NameFinder is a Resolver that finds the names of addresses.
type NameFinder interface {
	// LookupName returns the name of ip, without a dot at its end. Its errors are those
	// of LookupIP.
	LookupName(ctx context.Context, ip netip.Addr) (string, error)
}

// PendingLookup is a Pending whose client wants no stream, but to know what a lookup of
// its target finds. Answer is called in place of Accept.
type PendingLookup interface {
	Pending
	// Answer sends the answer to the client and closes.
	Answer(a Answer)
}

// ErrNoLookups says that a chain does no lookups for clients. It is an ErrDenied.
var ErrNoLookups = fmt.Errorf("%w: the names of this chain are not looked up here", ErrDenied)

// Find asks d, if it is a Finder. Otherwise it returns r.IPs, which an earlier stage has
// found, or ErrNoLookups.
func Find(ctx context.Context, d Dialer, r *Request) (Answer, error) {
	if f, ok := d.(Finder); ok {
		return f.Find(ctx, r)
	}
	if len(r.IPs) > 0 {
		return Answer{IPs: r.IPs}, nil
	}
	return Answer{}, ErrNoLookups
}
