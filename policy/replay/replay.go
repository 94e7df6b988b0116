// Package replay is a policy that refuses, on every node of a fleet, a request that
// one of the nodes has received before.
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
	// maxPending is the number of claims kept while the store is unreachable.
	maxPending = 1 << 16
	// retryEvery is the interval between attempts to send the pending claims.
	retryEvery = time.Second
	retryTime  = 3 * time.Second // timeout of each attempt
)

// Policy is the middleware.
type Policy struct {
	store    store.Store
	prefix   string
	log      *slog.Logger
	wait     time.Duration
	remember time.Duration
	away     atomic.Bool // the store is unreachable, which has been logged
	name     string
	refused  *refusals // belongs to the process and outlives a reload

	mu      sync.Mutex
	pending []claim   // guarded by mu, as is sending; sent once the store is reachable again
	sending time.Time // of the oldest claim that retry is sending; zero for none
}

// claim is a claim of a request's ID at the store.
type claim struct {
	key   string
	until time.Time
	at    time.Time // when it could not be made
}

// refusals counts requests that are replays.
type refusals struct{ atomic.Uint64 }

var (
	_ core.Middleware = (*Policy)(nil)
	_ core.Runner     = (*Policy)(nil)
)

// New returns the policy. Its errors name the option to correct.
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
	p := newPolicy(env, o, s)
	core.Keep(env, func(old *refusals) *refusals {
		if old != nil {
			p.refused = old
		}
		return p.refused
	})
	return p, nil
}

func newPolicy(env core.Env, o Options, s store.Store) *Policy {
	return &Policy{store: s, name: env.Name, refused: new(refusals), prefix: "once/" + env.Name + "/", log: env.Log, wait: o.Wait.Std(), remember: o.Remember.Std()}
}

// Wrap returns a Dialer that dials for requests that no node has received before.
func (p *Policy) Wrap(next core.Dialer) core.Dialer { return dialer{p, next} }

// check claims a request at the store. It returns an error if this or another node
// has received the request before. If the store does not answer in time the request
// is admitted.
func (p *Policy) check(ctx context.Context, r *core.Request) error {
	if len(r.Once.ID) == 0 {
		return nil
	}
	c := claim{key: p.prefix + base64.RawURLEncoding.EncodeToString(r.Once.ID), until: r.Once.Until}
	if c.until.IsZero() {
		c.until = time.Now().Add(p.remember)
	}
	if p.away.Load() { // Run detects the store's return; no request waits until then
		p.postpone(c)
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	free, err := p.store.Claim(waiting, c.key, c.until)
	switch {
	case ctx.Err() != nil: // the client closed the connection, or a shutdown ended it
		p.postpone(c)
		return ctx.Err()
	case err != nil:
		err = core.NoAnswer(err, p.wait)
		if !p.away.Swap(true) {
			p.log.Error(store.Trouble(err), slog.Any("err", err))
		}
		p.postpone(c)
	case !free:
		p.refused.Add(1)
		return &core.Refusal{Err: fmt.Errorf("%w: another node of the fleet has received it", core.ErrReplay)}
	}
	return nil
}

// postpone keeps a claim until the store is reachable again.
func (p *Policy) postpone(c claim) {
	c.at = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) < maxPending {
		p.pending = append(p.pending, c)
	}
}

// Run sends the pending claims to the store once it is reachable again.
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
	pending := p.pending
	p.pending = nil
	if len(pending) > 0 {
		p.sending = pending[0].at
	}
	p.mu.Unlock()
	defer p.sent()
	for i, c := range pending {
		if !time.Now().Before(c.until) {
			continue
		}
		if _, err := p.claim(ctx, c); err != nil {
			p.mu.Lock()
			p.pending = append(pending[i:], p.pending...)
			p.pending = p.pending[:min(len(p.pending), maxPending)]
			p.mu.Unlock()
			return
		}
	}
	if len(pending) > 0 && p.away.Swap(false) {
		p.log.Info("the store is back")
	}
}

func (p *Policy) claim(ctx context.Context, c claim) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, retryTime)
	defer cancel()
	return p.store.Claim(ctx, c.key, c.until)
}

// dialer is the policy in front of the next stage of a chain.
type dialer struct {
	policy *Policy
	next   core.Dialer
}

// DialStream dials for a new request. For a replay nothing is dialled or sent.
func (d dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	if err := d.policy.check(ctx, r); err != nil {
		return nil, err
	}
	return d.next.DialStream(ctx, r)
}

var _ core.Finder = dialer{}

// Find looks up for a new request.
func (d dialer) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	if err := d.policy.check(ctx, r); err != nil {
		return core.Answer{}, err
	}
	return core.Find(ctx, d.next, r)
}

// OpenPackets passes associations on unchecked: a claim for each datagram would cost
// a round trip to the store, and a replayed datagram is refused by the node that has
// its session.
func (d dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	return d.next.OpenPackets(ctx, r)
}

// CheckPackets returns the result of the next stage.
func (d dialer) CheckPackets() error { return d.next.CheckPackets() }

// PayloadWait returns the wait of the next stage.
func (d dialer) PayloadWait(r *core.Request) time.Duration { return d.next.PayloadWait(r) }
