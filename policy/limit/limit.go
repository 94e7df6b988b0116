package limit

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Policy is a gate, which limits addresses, and a middleware, which limits users: the
// user is known only after the request has been read.
type Policy struct {
	name    string
	options Options
	log     *slog.Logger
	alarm   core.Alarm // for silent UDP sessions that make room
	clients *clients   // belongs to the process and outlives a reload; nil until served
	users   *users     // likewise
	link    *link      // likewise; connects users to a store
}

var (
	_ core.Gate       = (*Policy)(nil)
	_ core.Middleware = (*Policy)(nil)
	_ core.Runner     = (*Policy)(nil)
)

// tickEvery is the interval at which counts are sent to the store. It is also the
// time by which idle flows, and flows on other nodes, may outlast a spent quota.
const tickEvery = time.Second

// New returns the policy. Its errors name the option to correct.
func New(env core.Env, o Options) (core.Policy, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s, err := o.Store.Open(env.Log)
	if err != nil {
		return nil, &core.OptionError{Key: "store", Err: err}
	}
	p := &Policy{name: env.Name, options: o, log: env.Log}
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
			_ = s.Close() // the older link's store stays in use
		}
		p.link = old
		return old
	})
	return p, nil
}

// Run applies the options to running flows, and calls tick every second, and once
// more when ctx ends, so that the last counts are stored.
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

// tick updates users and sends changed counts to the store of the newest generation,
// even while an older generation has connections.
func (p *Policy) tick(ctx context.Context, now time.Time) {
	l := p.users.link.Load()
	if p.users.tick(now, l.mirror.Put) {
		l.load(ctx, p.users)
		p.users.tick(now, l.mirror.Put)
	}
}

// Admit refuses an address that has reached a limit.
func (p *Policy) Admit(c core.Client) error {
	ip := c.Addr.Addr()
	if p.options.exempts(ip) {
		return nil
	}
	silent, err := p.clients.enter(ip, &p.options, time.Now())
	p.end(silent, slog.String("client", core.SourceOf(ip).String()))
	return err
}

// end ends a UDP session that has given its place; nil is none. whose is the attribute that
// names its client or its user.
func (p *Policy) end(silent *core.Flow, whose slog.Attr) {
	if silent == nil {
		return
	}
	idle := p.options.UDPIdle.Std()
	if count, say := p.alarm.Count(time.Now()); say {
		p.log.LogAttrs(context.Background(), slog.LevelInfo, "idle UDP sessions ended for new connections",
			slog.Int("sessions", count), whose, slog.Duration("udp_idle", idle))
	}
	silent.Cut(errSilent(idle))
}

// Observe removes an ended connection from the counts of its address and its user,
// and a moved one from the count of its earlier address. It follows UDP sessions.
func (p *Policy) Observe(e core.Event) {
	var flow *core.Flow
	if e.Request != nil {
		flow = e.Request.Flow
	}
	switch {
	case e.Kind == core.Opened:
		p.follow(e.Client.Addr.Addr(), e.Client, flow)
	case e.Kind == core.Moved && !e.Next.IsValid(): // it ended where it was before, which is another event
		if ip := e.Client.Addr.Addr(); !p.options.exempts(ip) {
			p.clients.leave(ip, &p.options, time.Now())
		}
	case e.Kind == core.Moved, e.Kind.Ends():
		if ip := e.Client.Addr.Addr(); !p.options.exempts(ip) {
			p.clients.end(ip, flow, &p.options, time.Now())
		}
		if e.Kind == core.Moved {
			p.follow(e.Next.Addr(), e.Client, flow)
		} else if flow != nil {
			p.users.leave(flow)
		}
	}
}

// follow follows a UDP session at an address, if its number there is limited. What a client
// holds by a connection, such as an association of SOCKS5, it can end itself.
func (p *Policy) follow(ip netip.Addr, c core.Client, f *core.Flow) {
	if f != nil && c.Network == core.UDP && p.options.ConnectionsPerClient > 0 && !p.options.exempts(ip) {
		p.clients.follow(ip, f, time.Now())
	}
}

// Wrap returns a Dialer that enforces the limits of users.
func (p *Policy) Wrap(next core.Dialer) core.Dialer { return dialer{p, next} }

// dialer is the policy in front of the next stage.
type dialer struct {
	policy *Policy // whose users are set when its file is served, after Wrap
	next   core.Dialer
}

// enter counts a connection of the request's user. The gate is notified of its end,
// except where a balancer names no client: then the flow is.
func (d dialer) enter(r *core.Request) (*meter, error) {
	m, silent, err := d.policy.users.enter(r.User, r.Flow, time.Now())
	if err != nil {
		return nil, err
	}
	d.policy.end(silent, slog.String("user", r.User))
	r.Flow.Use(m)
	if r.Client.Unattributed {
		r.Flow.OnEnd(func() { d.policy.users.leave(r.Flow) })
	}
	return m, nil
}

// DialStream dials if the user may have one more connection.
func (d dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	m, err := d.enter(r)
	if err != nil {
		return nil, err
	}
	payload := len(r.Payload)
	s, err := d.next.DialStream(ctx, r)
	if err != nil {
		d.policy.users.leave(r.Flow)
		return nil, err
	}
	if _, err := m.Take(payload, 0); err != nil { // a wait applies to the next burst
		s.Close()
		d.policy.users.leave(r.Flow)
		return nil, err
	}
	return s, nil
}

var _ core.Finder = dialer{}

// Find looks up as a connection of the user, which ends then.
func (d dialer) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	if _, err := d.enter(r); err != nil {
		return core.Answer{}, err
	}
	defer d.policy.users.leave(r.Flow)
	return core.Find(ctx, d.next, r)
}

// OpenPackets opens an association if the user may have one more.
func (d dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	if _, err := d.enter(r); err != nil {
		return nil, err
	}
	conn, err := d.next.OpenPackets(ctx, r)
	if err != nil {
		d.policy.users.leave(r.Flow)
		return nil, err
	}
	if r.Client.Network == core.UDP {
		d.policy.users.follow(r.Flow, time.Now())
	}
	return conn, nil
}

// CheckPackets returns the result of the next stage.
func (d dialer) CheckPackets() error { return d.next.CheckPackets() }

// PayloadWait returns the wait of the next stage.
func (d dialer) PayloadWait(r *core.Request) time.Duration { return d.next.PayloadWait(r) }
