package acl

import (
	"context"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
)

// judge applies the rules to r. It returns the request to pass on: r itself, or a copy
// with other addresses. deny makes the error of a denied one.
func (p *Policy) judge(ctx context.Context, r *core.Request, deny func(reason) error) (*core.Request, error) {
	rules := p.rules.Load()
	if why, ok := rules.who(r.Client.Addr.Addr(), r.User); !ok {
		return nil, deny(why)
	}
	lookUp := p.resolver != nil && len(r.IPs) == 0
	if r.Target.Name() == "" || len(r.IPs) == 0 && !lookUp {
		if why, ok := rules.target(r.Target); !ok {
			return nil, deny(why)
		}
		return r, nil
	}
	if why, ok := rules.hint(r.Target); !ok {
		return nil, deny(why)
	}
	ips := r.IPs
	if lookUp {
		found, err := dial.LookUp(ctx, r.Flow, p.asks, p.resolver, r.Target.Name())
		if err != nil {
			return nil, err
		}
		ips = found
	}
	open, why := rules.open(r.Target.Name(), ips)
	if len(open) == 0 {
		return nil, deny(why)
	}
	if len(open) == len(r.IPs) {
		return r, nil
	}
	known := *r
	known.IPs = open
	return &known, nil
}

var _ core.Previewer = (*Policy)(nil)

// Preview implements core.Previewer.
func (p *Policy) Preview(ctx context.Context, r *core.Request, ask bool) (*core.Request, error) {
	deny := func(why reason) error { return denied(p.env.Name, why) }
	if ask || p.resolver == nil || len(r.IPs) > 0 || r.Target.Name() == "" {
		return p.judge(ctx, r, deny)
	}
	rules := p.rules.Load()
	if why, ok := rules.who(r.Client.Addr.Addr(), r.User); !ok {
		return nil, deny(why)
	}
	if why, ok := rules.hint(r.Target); !ok {
		return nil, deny(why)
	}
	return r, nil
}
