// Package first is the resolver that queries other resolvers in order.
package first

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/umbra-proxy/umbra/core"
)

// Options are the keys of a [resolver.x] table of kind "first".
type Options struct {
	_         core.About                `help:"queries other resolvers in order, until one returns an address"`
	Resolvers []core.Ref[core.Resolver] `toml:"resolvers" required:"true" help:"the [resolver.x]s to query, in this order"`
}

// Resolver queries other resolvers in order.
type Resolver struct{ others []core.Resolver }

var _ core.Teller = (*Resolver)(nil)

// New returns the resolver.
func New(env core.Env, o Options) (core.Resolver, error) {
	if len(o.Resolvers) == 0 {
		return nil, core.BadOption("resolvers", "empty list: want at least one [resolver.x]")
	}
	r := new(Resolver)
	for i, ref := range o.Resolvers {
		if slices.Contains(o.Resolvers[:i], ref) {
			return nil, core.BadOption("resolvers", "%s is listed twice", ref)
		}
		other, err := ref.Get(env)
		if err != nil {
			return nil, err
		}
		r.others = append(r.others, other)
	}
	return r, nil
}

// LookupIP implements core.Resolver.
func (r *Resolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	return query(ctx, r.others, func(other core.Resolver) ([]netip.Addr, error) { return other.LookupIP(ctx, name) })
}

// Tell implements core.Teller.
func (r *Resolver) Tell(ctx context.Context, name string) ([]core.Found, error) {
	return query(ctx, r.others, func(other core.Resolver) ([]core.Found, error) { return core.Tell(ctx, other, name) })
}

// query returns the first answer with an address. Without an address it returns the
// error of the first resolver that failed, or else the first "no such name".
func query[T any](ctx context.Context, others []core.Resolver, lookup func(core.Resolver) ([]T, error)) ([]T, error) {
	var worst error
	for _, other := range others {
		found, err := lookup(other)
		if err == nil && len(found) > 0 {
			return found, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("lookup: %w", errors.Join(err, ctx.Err()))
		}
		if err != nil && (worst == nil || !notFound(err) && notFound(worst)) {
			worst = err
		}
	}
	return nil, worst
}

func notFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}
