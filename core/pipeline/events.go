package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Admit asks the gates about a client that has connected, in order. Gates that
// admitted a client which a later one refuses are notified.
func (p *Pipeline) Admit(c core.Client) error {
	accepted := core.Stages{Accepted: time.Now()}
	p.tellObservers(core.Event{Kind: core.Connected, Client: c, Stages: accepted})
	if c.Unattributed {
		return nil
	}
	err := p.askGates(c)
	if err != nil {
		accepted.Ended = time.Now()
		p.tellObservers(core.Event{Kind: core.Refused, Client: c, Stages: accepted, Err: err})
	}
	return err
}

// Observe passes on what an inbound tells of a client: that its handshake failed.
func (p *Pipeline) Observe(e core.Event) {
	p.tellGates(e)
	p.tellObservers(e)
}

func (p *Pipeline) tellGates(e core.Event) {
	if e.Client.Unattributed {
		return
	}
	for _, g := range p.cfg.Gates {
		p.tell("gate", g, e)
	}
}

// askGates asks the gates in order.
func (p *Pipeline) askGates(c core.Client) error {
	for i, g := range p.cfg.Gates {
		err := panics.Call(func() error { return g.Admit(c) }) // a gate that panics admits no client
		panics.Log(p.cfg.Log, "gate panicked", err)
		if err == nil {
			continue
		}
		for _, before := range p.cfg.Gates[:i] {
			p.tell("gate", before, core.Event{Kind: core.Refused, Client: c, Err: err})
		}
		return err
	}
	return nil
}

func (p *Pipeline) tellObservers(e core.Event) {
	for _, o := range p.cfg.Observers {
		p.tell("observer", o, e)
	}
}

// tell tells one gate or observer, whose panic ends nothing else.
func (p *Pipeline) tell(role string, o core.Observer, e core.Event) {
	e.Pipeline = p.cfg.Name
	err := panics.Call(func() error {
		o.Observe(e)
		return nil
	})
	panics.Log(p.cfg.Log, role+" panicked", err)
}

// event returns a step of a client's connection. The time of an end is set here.
func (p *Pipeline) event(kind core.EventKind, r *core.Request, from core.Client, times core.Stages, err error) core.Event {
	if kind.Ends() {
		times.Ended = time.Now()
	}
	return core.Event{
		Kind: kind, Client: from, Request: r, Stages: times, Path: p.pathOf(r.Flow), Authenticated: !r.Unproven, Err: err,
	}
}

// endFlow calls what was to be called at the end of a connection.
func (p *Pipeline) endFlow(f *core.Flow) {
	err := panics.Call(func() error {
		f.End()
		return nil
	})
	panics.Log(p.cfg.Log, "end of a flow panicked", err)
}

// observed reports whether there are gates or observers.
func (p *Pipeline) observed() bool { return len(p.cfg.Gates)+len(p.cfg.Observers) > 0 }

// pathOf returns the outbounds that a flow takes.
func (p *Pipeline) pathOf(f *core.Flow) []string {
	chosen := f.Chosen()
	if len(chosen) == 0 {
		return p.cfg.Path
	}
	return append(p.cfg.Path[:len(p.cfg.Path):len(p.cfg.Path)], chosen...)
}

// failureKind returns the event that the failure of a dial is.
func failureKind(err error) core.EventKind {
	if errors.Is(err, core.ErrDenied) {
		return core.Refused
	}
	return core.DialFailed
}

// log writes the line of a stream or an association that has ended: what broke a
// rule of the program is an error, all else is for debugging.
func (p *Pipeline) log(what string, client core.Client, r *core.Request, began time.Time, err error) {
	ctx := context.Background()
	if panics.Log(p.cfg.Log, what+" panicked", err, slog.Uint64("id", r.ID)) {
		return
	}
	if !p.cfg.Log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.Uint64("id", r.ID), slog.String("inbound", client.Inbound), slog.Any("client", client.Addr),
		slog.Int64("up", r.Flow.Up.Load()), slog.Int64("down", r.Flow.Down.Load()),
		slog.Duration("took", time.Since(began)),
	}
	if r.Target.IsValid() { // an association has many
		attrs = append(attrs, slog.String("target", r.Target.String()))
	}
	if r.User != "" {
		attrs = append(attrs, slog.String("user", r.User))
	}
	if branches := r.Flow.Chosen(); len(branches) > 0 {
		attrs = append(attrs, slog.String("by", strings.Join(branches, " ")))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	p.cfg.Log.LogAttrs(ctx, slog.LevelDebug, what+" closed", attrs...)
}
