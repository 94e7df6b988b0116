package ssh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// refusedFactor is how many times longer than after another failure no connection is tried
// after the server or its key was refused: a person has to mend that, and servers ban
// clients that log in wrongly again and again.
const refusedFactor = 30

// acquireTries is how many connections a request waits for that the server ends at once.
const acquireTries = 3

// pool has the connections to the server over one wire.
type pool struct {
	*Outbound
	wire core.Dialer

	ctx     context.Context // ends the attempts
	stop    context.CancelFunc
	running sync.WaitGroup // attempts

	mu      sync.Mutex
	slots   []slot // guarded by mu, as all below
	retired bool
	closed  bool
}

// slot is the place of one connection. It has a session, an attempt to open one, or neither.
type slot struct {
	session *session
	attempt *attempt
	failed  error     // of the last attempt, until retry
	retry   time.Time // before which there is no new one
}

// attempt is a connection that is being opened. All requests that need it wait for it, each
// until its own context ends.
type attempt struct {
	done    chan struct{}
	session *session // valid after done, as err
	err     error
}

func newPool(o *Outbound, wire core.Dialer) *pool {
	p := &pool{Outbound: o, wire: wire, slots: make([]slot, o.connections)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// acquire returns a session that counts a stream for the request r. It opens one if there is
// none, and a further one beside those that are in use, up to the number of slots.
func (p *pool) acquire(ctx context.Context, r *core.Request) (*session, error) {
	for range acquireTries {
		s, a, err := p.choose(r)
		if s != nil || err != nil {
			return s, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-a.done:
		}
		if a.err != nil {
			return nil, a.err
		}
	}
	return nil, errLost
}

// choose returns the session with the fewest streams, or an attempt to wait for.
func (p *pool) choose(r *core.Request) (*session, *attempt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, core.ErrShutdown
	}
	var best, free *slot // free has neither a session nor an attempt
	var underway *attempt
	for i := range p.slots {
		sl := &p.slots[i]
		switch {
		case sl.session != nil && sl.session.wire.loss() == nil:
			if best == nil || sl.session.load() < best.session.load() {
				best = sl
			}
		case sl.attempt != nil:
			underway = sl.attempt
		case free == nil || sl.retry.Before(free.retry):
			free = sl
		}
	}
	usable := free != nil && !time.Now().Before(free.retry)
	if best != nil {
		if best.session.load() > 0 && usable {
			p.start(free, r)
		}
		if best.session.acquire() {
			return best.session, nil, nil
		}
		best.session = nil
		return p.chooseAttempt(best, underway, r)
	}
	switch {
	case underway != nil:
		return nil, underway, nil
	case !usable:
		return nil, nil, fmt.Errorf("%w (the last attempt; the next one may be made in %s)", free.failed, time.Until(free.retry).Round(time.Millisecond))
	}
	return nil, p.start(free, r), nil
}

// chooseAttempt returns the attempt that is underway, or a new one. mu is held.
func (p *pool) chooseAttempt(sl *slot, underway *attempt, r *core.Request) (*session, *attempt, error) {
	if underway == nil {
		underway = p.start(sl, r)
	}
	return nil, underway, nil
}

// start begins an attempt. mu is held.
func (p *pool) start(sl *slot, r *core.Request) *attempt {
	a := &attempt{done: make(chan struct{})}
	sl.session, sl.attempt = nil, a
	passed := r.Passed // r is not used beyond the call
	p.running.Go(func() {
		ctx, cancel := context.WithTimeoutCause(p.ctx, p.connectTime, errSlow)
		defer cancel()
		s, err := p.connect(ctx, p.wire, passed)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err == nil && p.closed {
			s.end(core.ErrShutdown)
		}
		if err == nil && p.retired {
			s.retireLater()
		}
		wait := p.retryWait
		if errors.Is(err, core.ErrAuth) {
			wait *= refusedFactor
		}
		*sl = slot{session: s, failed: err}
		if err != nil {
			sl.retry = time.Now().Add(wait)
		}
		a.session, a.err = s, err
		close(a.done)
	})
	return a
}

// sessions returns the sessions that are open.
func (p *pool) sessions() []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*session
	for _, sl := range p.slots {
		if sl.session != nil {
			all = append(all, sl.session)
		}
	}
	return all
}

// retire has each session end with its last stream.
func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	p.mu.Unlock()
	for _, s := range p.sessions() {
		s.retire()
	}
}

// shutdown ends all sessions and waits for that. The streams must be closed.
func (p *pool) shutdown(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	p.running.Wait()
	var ending sync.WaitGroup
	for _, s := range p.sessions() {
		ending.Go(func() { s.shutdown(ctx) })
	}
	ending.Wait()
}
