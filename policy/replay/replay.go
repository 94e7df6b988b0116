// Package replay is a policy that refuses, on every node of a fleet, what one of them
// has received.
package replay

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

// Options are the keys of a [policy.x] table of kind "replay".
type Options struct {
	_        core.About      `help:"refuses replays across a fleet: a request that one node has received is refused by all nodes"`
	Store    store.Place     `toml:"store" required:"true" help:"the store in which the nodes share the requests that they have received: redis://HOST:PORT"`
	Wait     option.Duration `toml:"wait" default:"100ms" min:">0s" help:"how long a request waits for the store; after that it is served"`
	Remember option.Duration `toml:"remember" default:"24h" min:"1m" help:"how long requests without a timestamp are remembered"`
}

const (
	// maxMissed is how many requests are remembered that the store could not be told
	// of.
	maxMissed = 1 << 16
	// retryEvery is how often it is told of them again.
	retryEvery = time.Second
	retryTime  = 3 * time.Second // for each
)

// Policy is the middleware.
type Policy struct {
	store    store.Store
	prefix   string
	log      *slog.Logger
	wait     time.Duration
	remember time.Duration
	away     atomic.Bool // that it is has been logged

	mu     sync.Mutex
	missed []claim // guarded by mu
}

// claim is a request that the store has not been told of.
type claim struct {
	key   string
	until time.Time
}

var (
	_ core.Middleware = (*Policy)(nil)
	_ core.Runner     = (*Policy)(nil)
)

// New returns the policy. Its errors name the key to mend.
func New(env core.Env, o Options) (core.Policy, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	s, err := o.Store.Open(env.Log)
	if err == nil && s == nil {
		err = fmt.Errorf("want the store that all nodes share, such as %q: each node refuses its own replays even without this policy", "redis://HOST:PORT")
	}
	if err != nil {
		return nil, &core.OptionError{Key: "store", Err: err}
	}
	return newPolicy(env, o, s), nil
}

func newPolicy(env core.Env, o Options, s store.Store) *Policy {
	return &Policy{store: s, prefix: "once/" + env.Name + "/", log: env.Log, wait: o.Wait.Std(), remember: o.Remember.Std()}
}

// Wrap returns a Dialer that dials for what is new.
func (p *Policy) Wrap(next core.Dialer) core.Dialer { return dialer{p, next} }

// check returns an error for a request that another node, or this one, has received.
// A store that does not answer in time refuses nothing.
func (p *Policy) check(ctx context.Context, r *core.Request) error {
	if len(r.Once.ID) == 0 {
		return nil
	}
	c := claim{p.prefix + base64.RawURLEncoding.EncodeToString(r.Once.ID), r.Once.Until}
	if c.until.IsZero() {
		c.until = time.Now().Add(p.remember)
	}
	if p.away.Load() { // Run finds out when it is back; nobody waits until then
		p.miss(c)
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	free, err := p.store.Claim(waiting, c.key, c.until)
	switch {
	case ctx.Err() != nil: // the client's doing, or a shutdown's
		p.miss(c)
		return ctx.Err()
	case err != nil:
		if !p.away.Swap(true) {
			p.log.Error("the store is away; using local state only", slog.Any("err", err))
		}
		p.miss(c)
	case !free:
		return &core.Refusal{Err: fmt.Errorf("%w: another node of the fleet has received it", core.ErrReplay)}
	}
	return nil
}

// miss remembers a request that the store could not be told of.
func (p *Policy) miss(c claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.missed) < maxMissed {
		p.missed = append(p.missed, c)
	}
}

// Run tells the store of what it has missed, once it is back.
func (p *Policy) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { p.store.Run(ctx) })
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.retry(ctx)
		}
	}
}

func (p *Policy) retry(ctx context.Context) {
	p.mu.Lock()
	missed := p.missed
	p.missed = nil
	p.mu.Unlock()
	for i, c := range missed {
		if !time.Now().Before(c.until) {
			continue
		}
		if _, err := p.claim(ctx, c); err != nil {
			p.mu.Lock()
			p.missed = append(missed[i:], p.missed...)
			p.missed = p.missed[:min(len(p.missed), maxMissed)]
			p.mu.Unlock()
			return
		}
	}
	if len(missed) > 0 && p.away.Swap(false) {
		p.log.Info("the store is back")
	}
}

func (p *Policy) claim(ctx context.Context, c claim) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, retryTime)
	defer cancel()
	return p.store.Claim(ctx, c.key, c.until)
}

// dialer is the policy before the rest of a chain.
type dialer struct {
	policy *Policy
	next   core.Dialer
}

// DialStream dials for a request that is new. Nothing is sent for a recording.
func (d dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	if err := d.policy.check(ctx, r); err != nil {
		return nil, err
	}
	return d.next.DialStream(ctx, r)
}

// OpenPackets passes associations on: whoever sends from where can't be told to
// others for each datagram, and a recording of one is refused by its own node.
func (d dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	return d.next.OpenPackets(ctx, r)
}

// CheckPackets returns what the next stage says.
func (d dialer) CheckPackets() error { return d.next.CheckPackets() }

// PayloadWait returns what the next stage wants.
func (d dialer) PayloadWait(r *core.Request) time.Duration { return d.next.PayloadWait(r) }
