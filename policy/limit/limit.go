package limit

import (
	"context"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Policy is the gate, which bounds addresses, and the middleware, which bounds users:
// a user is known only when the request has been read.
type Policy struct {
	options Options
	clients *clients // of the process, so that they outlive a reload; nil until served
	users   *users   // likewise
	link    *link    // likewise, to a store
}

var (
	_ core.Gate       = (*Policy)(nil)
	_ core.Middleware = (*Policy)(nil)
	_ core.Runner     = (*Policy)(nil)
)

// tickEvery is how often counts go to the store, and how long a spent quota is
// overrun by what is silent or runs elsewhere.
const tickEvery = time.Second

// New returns the policy. Its errors name the key to mend.
func New(env core.Env, o Options) (core.Policy, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s, err := o.Store.Open(env.Log)
	if err != nil {
		return nil, &core.OptionError{Key: "store", Err: err}
	}
	p := &Policy{options: o}
	core.Keep(env, func(old *clients) *clients {
		if old == nil {
			old = newClients()
		}
		p.clients = old
		return old
	})
	core.Keep(env, func(old *users) *users {
		if old == nil {
			old = newUsers(env, newNode(), &p.options, time.Now())
		}
		p.users = old
		return old
	})
	core.Keep(env, func(old *link) *link {
		if old == nil || old.place != o.Store {
			old = newLink(env, o.Store, s, p.users)
		} else if s != nil {
			_ = s.Close() // it was not used
		}
		p.link = old
		return old
	})
	return p, nil
}

// Run makes the options hold for what runs, and does every second what is due. What
// was counted last is stored too.
func (p *Policy) Run(ctx context.Context) {
	p.users.configure(&p.options, time.Now())
	p.users.link.Store(p.link)
	storing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { p.link.mirror.Run(storing) })
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.tick(context.WithoutCancel(ctx), time.Now())
			return
		case now := <-ticker.C:
			p.tick(ctx, now)
			p.clients.sweep(now)
		}
	}
}

// tick does what is due. What has changed goes to the store of the newest file, even
// while an older one has connections.
func (p *Policy) tick(ctx context.Context, now time.Time) {
	l := p.users.link.Load()
	if p.users.tick(now, l.mirror.Put) {
		l.hear(ctx, p.users)
		p.users.tick(now, l.mirror.Put)
	}
}

// Admit refuses an address that has too many connections.
func (p *Policy) Admit(c core.Client) error {
	ip := c.Addr.Addr()
	if p.options.exempts(ip) {
		return nil
	}
	return p.clients.enter(ip, &p.options, time.Now())
}

// Observe takes a connection that has ended from what its address and its user have,
// and one that has moved from what its earlier address has.
func (p *Policy) Observe(e core.Event) {
	if e.Kind != core.Moved && !e.Kind.Ends() {
		return
	}
	if ip := e.Client.Addr.Addr(); !p.options.exempts(ip) {
		p.clients.leave(ip, &p.options, time.Now())
	}
	if e.Kind.Ends() && e.Request != nil && e.Request.Flow != nil {
		p.users.leave(e.Request.Flow)
	}
}

// Wrap returns the dialer that bounds users.
func (p *Policy) Wrap(next core.Dialer) core.Dialer { return dialer{p, next} }

// dialer is next, for users who may.
type dialer struct {
	policy *Policy // whose users are set when its file is served, after Wrap
	next   core.Dialer
}

// DialStream dials, if the user may have one more connection.
func (d dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	m, err := d.policy.users.enter(r.User, r.Flow, time.Now())
	if err != nil {
		return nil, err
	}
	r.Flow.Use(m)
	payload := len(r.Payload)
	s, err := d.next.DialStream(ctx, r)
	if err != nil {
		d.policy.users.leave(r.Flow)
		return nil, err
	}
	if _, err := m.Take(payload, 0); err != nil { // a wait is the next burst's
		s.Close()
		d.policy.users.leave(r.Flow)
		return nil, err
	}
	return s, nil
}

// OpenPackets opens, if the user may have one more association.
func (d dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	m, err := d.policy.users.enter(r.User, r.Flow, time.Now())
	if err != nil {
		return nil, err
	}
	r.Flow.Use(m)
	conn, err := d.next.OpenPackets(ctx, r)
	if err != nil {
		d.policy.users.leave(r.Flow)
		return nil, err
	}
	return conn, nil
}

// CheckPackets asks next.
func (d dialer) CheckPackets() error { return d.next.CheckPackets() }

// PayloadWait asks next.
func (d dialer) PayloadWait(r *core.Request) time.Duration { return d.next.PayloadWait(r) }
