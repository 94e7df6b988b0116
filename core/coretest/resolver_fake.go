package coretest

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// Resolver is a core.Resolver with fixed answers. Other names are not found. The zero
// Resolver has no names and is ready.
type Resolver struct {
	Names map[string][]netip.Addr
	Err   error         // if not nil, the error of every lookup
	Hold  chan struct{} // if not nil, lookups wait until the channel is closed

	mu    sync.Mutex
	asked []string // guarded by mu
}

var _ core.Resolver = (*Resolver)(nil)

// LookupIP returns the addresses in Names.
func (r *Resolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	r.mu.Lock()
	r.asked = append(r.asked, name)
	r.mu.Unlock()
	if r.Hold != nil {
		select {
		case <-r.Hold:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.Err != nil {
		return nil, r.Err
	}
	ips, ok := r.Names[name]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return slices.Clone(ips), nil
}

// Asked returns the names that were looked up, in order.
func (r *Resolver) Asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}
