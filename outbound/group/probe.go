package group

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Probe are the keys of the option probe.
type Probe struct {
	Target  option.Server   `toml:"target" required:"true" help:"host and port to ask: for port 443 by the beginning of TLS, for others by an HTTP request"`
	Every   option.Duration `toml:"every" default:"1m" min:"1s" max:"24h" help:"how often each member is asked"`
	Timeout option.Duration `toml:"timeout" default:"3s" min:">0s" max:"1m" help:"how long it may take until the target's first byte"`
}

// check validates the options.
func (p *Probe) check() error {
	switch {
	case p == nil:
		return nil
	case !p.Target.Addr().IsValid():
		return core.BadOption("probe.target", "missing; name a host and a port, as www.example.org:443")
	case p.Every <= 0:
		return core.BadOption("probe.every", "%s is not positive", p.Every)
	case p.Timeout <= 0:
		return core.BadOption("probe.timeout", "%s is not positive", p.Timeout)
	}
	return nil
}

// Run probes the members, if the options ask for it, until ctx ends or the group is retired.
func (g *Group) Run(ctx context.Context) {
	g.placing.Lock()
	over := g.probed
	g.placing.Unlock()
	if g.options.Probe == nil || over == nil { // it stands in no chain
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for i, m := range g.members {
		all.Go(func() { g.probe(ctx, m, over[i]) })
	}
	select {
	case <-ctx.Done():
	case <-g.retired:
	}
	cancel()
	all.Wait()
}

// probe probes a member until ctx ends. No two probes are the same time apart.
func (g *Group) probe(ctx context.Context, m *Member, over core.Dialer) {
	every := g.options.Probe.Every.Std()
	for {
		g.probeOnce(ctx, m, over)
		next := time.NewTimer(every - every/10 + rand.N(every/5+1))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		}
	}
}

// probeOnce asks the target through a member and notes what that says of the member.
func (g *Group) probeOnce(ctx context.Context, m *Member, over core.Dialer) {
	p := g.options.Probe
	within, cancel := context.WithTimeout(ctx, p.Timeout.Std())
	defer cancel()
	began := time.Now()
	err := panics.Call(func() error { return ask(within, over, g.env.Process.NextID(), p.Target.Addr()) })
	now := time.Now()
	switch {
	case ctx.Err() != nil:
	case err == nil:
		m.health.measure(now, now.Sub(began))
		g.told(m, m.health.succeed(now, g.options.Rise, nil, true))
	default:
		err = fmt.Errorf("probe: %w", core.NoAnswer(err, p.Timeout.Std()))
		g.env.Log.Debug("probe failed", slog.String("member", m.name), slog.Any("err", err))
		if !core.IsAtTarget(err) && !errors.Is(err, core.ErrDenied) { // denied here says nothing of the member
			g.told(m, m.health.fail(now, g.options.Fall, g.options.Rest.Std(), err.Error()))
		}
	}
}

// ask dials the target and waits for its first byte.
func ask(ctx context.Context, over core.Dialer, id uint64, target core.Addr) error {
	r := &core.Request{ID: id, Network: core.TCP, Target: target, Payload: question(target), Flow: new(core.Flow), Accepted: time.Now()}
	defer r.Flow.End()
	s, err := over.DialStream(ctx, r)
	if err != nil {
		return err
	}
	defer s.Close()
	r.Flow.OnCut(func() { s.Close() })
	stop := context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = io.ReadFull(s, make([]byte, 1))
	switch {
	case err == nil:
		r.Flow.Down.Add(1)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the connection was closed", core.ErrNothing)
	}
	return err
}

// question returns bytes that a server answers at the target's port.
func question(target core.Addr) []byte {
	if target.Port() != 443 {
		return fmt.Appendf(nil, "HEAD / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target)
	}
	name := target.Name()
	if name == "" {
		name = target.IP().String()
	}
	var hello recorder
	_ = tls.Client(&hello, &tls.Config{ServerName: name, NextProtos: []string{"h2", "http/1.1"}}).Handshake() // it fails at its first read
	return hello.sent
}

// recorder is a connection that keeps what is written and has nothing to read.
type recorder struct {
	net.Conn
	sent []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.sent = append(r.sent, p...)
	return len(p), nil
}

func (*recorder) Read([]byte) (int, error)    { return 0, io.EOF }
func (*recorder) Close() error                { return nil }
func (*recorder) SetDeadline(time.Time) error { return nil }
