package acl

import (
	"context"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
)

// dialer is the policy in front of the next stage.
type dialer struct {
	policy *Policy
	next   core.Dialer
}

// DialStream dials if the rules allow the request. Of the addresses of a name it
// passes on those that are not denied.
func (d *dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	r, err := d.policy.judge(ctx, r, d.policy.deny)
	if err != nil {
		return nil, err
	}
	return d.next.DialStream(ctx, r)
}

var _ core.Finder = (*dialer)(nil)

// Find looks up what the rules allow.
func (d *dialer) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	r, err := d.policy.judge(ctx, r, d.policy.deny)
	if err != nil {
		return core.Answer{}, err
	}
	return core.Find(ctx, d.next, r)
}

// OpenPackets opens an association if the client and the user are allowed. The target
// of each datagram is checked against the current rules.
func (d *dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	if why, ok := d.policy.rules.Load().who(r.Client.Addr.Addr(), r.User); !ok {
		return nil, d.policy.deny(why)
	}
	next, err := d.next.OpenPackets(ctx, r)
	if err != nil {
		return nil, err
	}
	if d.policy.resolver == nil {
		return &packets{d.policy, next, (*rules).target}, nil
	}
	// A datagram to a name is checked by name, resolved, and checked by address.
	next = &packets{d.policy, next, (*rules).resolved}
	next = dial.ResolvePackets(next, d.policy.asks, allowedResolver{d.policy}, r, dial.NamesOf(d.policy.env.Process))
	return &packets{d.policy, next, (*rules).hint}, nil
}

// CheckPackets returns the result of the next stage.
func (d *dialer) CheckPackets() error { return d.next.CheckPackets() }

// PayloadWait returns the wait of the next stage, but 0 for a request that the rules
// deny, so that the client's reply is the refusal and not a success.
func (d *dialer) PayloadWait(r *core.Request) time.Duration {
	wait := d.next.PayloadWait(r)
	if wait == 0 {
		return 0
	}
	rules := d.policy.rules.Load()
	if _, ok := rules.who(r.Client.Addr.Addr(), r.User); !ok {
		return 0
	}
	if _, ok := rules.hint(r.Target); !ok {
		return 0
	}
	return wait
}

// allowedResolver is the policy's resolver without the addresses that are denied.
type allowedResolver struct{ policy *Policy }

// LookupIP returns the addresses of a name that are allowed.
func (o allowedResolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	ips, err := o.policy.resolver.LookupIP(ctx, name)
	if err != nil || len(ips) == 0 {
		return nil, err
	}
	open, why := o.policy.rules.Load().open(name, ips)
	if len(open) == 0 {
		o.policy.dropName(name, why)
		return nil, denied(o.policy.env.Name, why)
	}
	return open, nil
}
