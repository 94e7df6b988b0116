// Package acl is the policy that allows or denies requests by their source, their
// user, their target and its port.
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

// Policy is the middleware. It follows the files of its lists while it runs.
type Policy struct {
	env      core.Env
	resolver core.Resolver // nil for none
	lists    *lists
	rules    atomic.Pointer[rules]
	tally    tally
}

var (
	_ core.Middleware = (*Policy)(nil)
	_ core.Runner     = (*Policy)(nil)
)

// New returns the policy. Its errors name the key to mend, and the line of a file.
func New(env core.Env, o Options) (core.Policy, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	l, err := newLists(o)
	if err != nil {
		return nil, err
	}
	r, err := l.rules()
	if err != nil {
		return nil, err
	}
	p := &Policy{env: env, lists: l}
	p.rules.Store(r)
	if o.Resolver != "" {
		p.resolver, err = o.Resolver.Get(env)
	}
	return p, err
}

// Wrap implements core.Middleware.
func (p *Policy) Wrap(next core.Dialer) core.Dialer { return &dialer{p, next} }

// Run follows the files until ctx ends, and tells how many requests were denied. A
// file that is wrong changes nothing, and what it had before still holds.
func (p *Policy) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	if len(p.lists.origins) > 0 {
		running.Go(func() { follow.Watch(ctx, p.env.Log, "list file not read, its old entries stay in use", p.look) })
	}
	p.tally.run(ctx, p.env.Log)
}

// look reads the files that have changed.
func (p *Policy) look() error {
	changed, wrong := p.lists.look(p.env.Log)
	if !changed {
		return wrong
	}
	r, err := p.lists.rules()
	if err != nil {
		return errors.Join(wrong, err)
	}
	p.rules.Store(r)
	return wrong
}

// deny counts a request that is denied, and returns why.
func (p *Policy) deny(why reason) error {
	p.tally.requests.Add(1)
	return denied(p.env.Name, why)
}

// drop counts a datagram that is denied.
func (p *Policy) drop(target core.Addr, why reason) {
	p.tally.datagrams.Add(1)
	if ctx := context.Background(); p.env.Log.Enabled(ctx, slog.LevelDebug) {
		p.env.Log.LogAttrs(ctx, slog.LevelDebug, "datagram denied", slog.String("target", target.String()), slog.String("reason", why.String()))
	}
}
