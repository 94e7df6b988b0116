package group

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// dialer is a group at one position in a chain.
type dialer struct {
	*Group
	over []core.Dialer // of the members
}

var (
	_ core.Dialer = (*dialer)(nil)
	_ core.Finder = (*dialer)(nil)
)

// DialStream dials through the members that the picker picks, one after the other, until one
// has a stream or a byte of the client's may have left.
func (d *dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	s, m, began, err := attempt(ctx, d, r, core.Dialer.DialStream)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if d.options.Probe == nil {
		m.health.measure(now, now.Sub(began))
	}
	d.told(m, m.health.succeed(now, d.options.Rise, r.Flow, false))
	if r.Flow != nil {
		d.track(m, r, now)
	}
	return s, nil
}

// Find looks up the target as the member of the request does.
func (d *dialer) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	a, m, _, err := attempt(ctx, d, r, find)
	if err == nil {
		m.health.release()
	}
	return a, err
}

func find(d core.Dialer, ctx context.Context, r *core.Request) (core.Answer, error) {
	return core.Find(ctx, d, r)
}

// PayloadWait returns the longest wait of the members: the client may have its reply before
// any of them is dialled.
func (d *dialer) PayloadWait(r *core.Request) (wait time.Duration) {
	for _, over := range d.over {
		wait = max(wait, over.PayloadWait(r))
	}
	return wait
}

// CheckPackets returns the reason why a member carries no UDP, placed at the member.
func (d *dialer) CheckPackets() error {
	for i, over := range d.over {
		if err := over.CheckPackets(); err != nil {
			if placed, ok := err.(*core.ComponentError); ok { // of a member that has branches itself
				return placed
			}
			return d.at(i, fmt.Errorf("%s %w", d.members[i].id, err))
		}
	}
	return nil
}

// attempt opens r through one member after the other. began is when the last attempt did.
// The errors name the members.
func attempt[T any](ctx context.Context, d *dialer, r *core.Request, open func(core.Dialer, context.Context, *core.Request) (T, error)) (opened T, m *Member, began time.Time, err error) {
	var (
		errs  allFailed
		doubt []*failed
		tried []bool
		path  int // of the branches chosen before this one
	)
	if r.Flow != nil {
		path = len(r.Flow.Chosen())
	}
	began = time.Now()
	for n := 0; n < d.options.Attempts; n++ {
		if m = d.pick(Question{Request: r, Attempt: n}, tried, began); m == nil {
			break
		}
		if r.Flow != nil {
			if n > 0 {
				r.Flow.Unchoose(path)
			}
			r.Flow.Choose(m.id)
		}
		last := n+1 == d.options.Attempts || n+1 == len(d.members)
		if opened, err = share(ctx, d.over[m.index], r, open, d.options.Attempts-n, last); err == nil {
			d.blame(doubt)
			if n == 0 {
				d.use(m)
			}
			return opened, m, began, nil
		}
		v := judge(ctx, r, err)
		now := time.Now()
		f := &failed{m, err}
		switch {
		case v.counts:
			d.blame(append(doubt, f))
			doubt = nil
		case v.doubt:
			doubt = append(doubt, f)
			m.health.release()
		default:
			m.health.release()
		}
		errs = append(errs, f)
		if !v.again {
			break
		}
		if tried == nil {
			tried = make([]bool, len(d.members))
		}
		tried[m.index], began = true, now
	}
	switch len(errs) {
	case 0:
		return opened, nil, began, d.noMember()
	case 1:
		return opened, nil, began, errs[0]
	}
	return opened, nil, began, errs
}

// share opens r within the share of the time that is left which one of several attempts has.
func share[T any](ctx context.Context, over core.Dialer, r *core.Request, open func(core.Dialer, context.Context, *core.Request) (T, error), attempts int, last bool) (T, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return open(over, ctx, r)
	}
	within := time.Until(deadline)
	if !last {
		within /= time.Duration(attempts)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	opened, err := open(over, ctx, r)
	if err != nil && ctx.Err() != nil {
		err = core.NoAnswer(err, within.Round(10*time.Millisecond))
	}
	return opened, err
}

// blame counts failures against their members.
func (d *dialer) blame(all []*failed) {
	now := time.Now()
	for _, f := range all {
		d.told(f.member, f.member.health.fail(now, d.options.Fall, d.options.Rest.Std(), f.err.Error()))
	}
}

// told logs a change of a member, and does what follows from it.
func (g *Group) told(m *Member, c change) {
	if c == unchanged {
		return
	}
	g.kept.epoch.Add(1)
	h := m.health
	h.mu.Lock()
	failures, successes, reason := h.failures, h.successes, h.reason
	h.mu.Unlock()
	if c == cameIn {
		g.env.Log.Info("member is in again", slog.String("member", m.name), slog.Int("successes", successes))
		return
	}
	g.env.Log.Info("member is out", slog.String("member", m.name), slog.String("reason", reason), slog.Int("failures", failures), slog.Duration("rest", g.options.Rest.Std()))
	g.cut(m)
}
