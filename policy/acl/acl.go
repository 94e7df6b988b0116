// Package acl is the policy that allows or denies requests by source, user, target
// and port.
package acl

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
)

// Policy is a middleware that denies requests by lists. While it runs it reloads list
// files that have changed.
type Policy struct {
	env      core.Env
	resolver core.Resolver // nil without the option
	asks     string        // names it
	lists    *lists
	rules    atomic.Pointer[rules]
	tally    tally
	denials  *denials // belongs to the process and outlives a reload; nil until served
}

var (
	_ core.Middleware = (*Policy)(nil)
	_ core.Runner     = (*Policy)(nil)
)

// New returns the policy. Its errors name the option to correct, and the line of a
// list file.
func New(env core.Env, o Options) (core.Policy, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	l, err := newLists(core.Shared[follow.Files](env.Process), o)
	if err != nil {
		return nil, err
	}
	l.now.nat64 = core.NAT64Of(env.Process)
	r, err := l.rules()
	if err != nil {
		return nil, err
	}
	p := &Policy{env: env, lists: l}
	p.rules.Store(r)
	core.Keep(env, func(old *denials) *denials {
		if old == nil {
			old = new(denials)
		}
		p.denials = old
		return old
	})
	if o.Resolver != "" {
		p.asks = "resolver." + string(o.Resolver)
		p.resolver, err = o.Resolver.Get(env)
	}
	return p, err
}

// Wrap implements core.Middleware.
func (p *Policy) Wrap(next core.Dialer) core.Dialer { return &dialer{p, next} }

// Run reloads changed list files until ctx ends, and logs how many requests were
// denied. A file with an error is not used: its previous entries stay in force.
func (p *Policy) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	if p.lists.Followed() {
		running.Go(func() { follow.Watch(ctx, p.env.Log, "list file not read, its old entries stay in use", p.reload) })
	}
	p.tally.run(ctx, p.env.Log)
}

// reload reads the files that have changed.
func (p *Policy) reload() error {
	changed, failed := p.lists.Reload(p.env.Log)
	if !changed {
		return failed
	}
	r, err := p.lists.rules()
	if err != nil {
		return errors.Join(failed, err)
	}
	p.rules.Store(r)
	return failed
}

// deny counts a denied request, and returns the error for it.
func (p *Policy) deny(why reason) error {
	p.tally.requests.Add(1)
	p.denials[why.check].Add(1)
	return denied(p.env.Name, why)
}

// drop counts a denied datagram, and logs it at level debug.
func (p *Policy) drop(target core.Addr, why reason) {
	p.tally.datagrams.Add(1)
	if p.env.Log.Enabled(context.Background(), slog.LevelDebug) {
		p.logDrop(target.String(), why)
	}
}

// dropName is drop for datagrams to a name, whose port is not known.
func (p *Policy) dropName(name string, why reason) {
	p.tally.datagrams.Add(1)
	p.logDrop(name, why)
}

func (p *Policy) logDrop(target string, why reason) {
	p.env.Log.LogAttrs(context.Background(), slog.LevelDebug, "datagram denied", slog.String("target", target), slog.String("reason", why.String()))
}
