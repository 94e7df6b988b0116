package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/samber/do/v2"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// generation is what one loaded file became.
//
// It has a container of its own rather than a scope in a common one: in
// samber/do 2.0.0 a scope stays in its parent for good, so each reload would
// leave one behind.
type generation struct {
	number    int       // the first file served has 1
	since     time.Time // when it began to serve
	observers []core.Observer
	file      *config.File
	reg       *core.Registry
	process   *core.Process
	stage     *core.Stage
	log       *slog.Logger
	scope     *do.RootScope
	pipelines []*runningPipeline

	built   map[config.ID]any // the components
	runners []runner          // those with work of their own

	measurers map[config.ID]core.Measurer // those with figures

	running sync.WaitGroup // of them
	stop    context.CancelFunc

	problems []config.Problem // found while building
	taking   atomic.Int32     // pipelines whose inbound may still accept

	// Set before the container is shut down, because it passes one context to
	// all and skips what is left when that ends.
	handshakes, streams context.Context
}

// runningPipeline is a pipeline with the inbound that feeds it.
type runningPipeline struct {
	name     string
	inbound  core.Inbound
	id       config.ID // of the inbound
	pipeline *pipeline.Pipeline
	of       *generation
	served   sync.WaitGroup
}

// listen binds the addresses of all inbounds.
func (g *generation) listen(ctx context.Context) error {
	var problems []config.Problem
	for _, l := range g.pipelines {
		if err := l.inbound.Listen(ctx); err != nil {
			problems = append(problems, g.file.Problems(l.id, err)...)
		}
	}
	if len(problems) == 0 {
		problems = g.shared()
	}
	return config.Join(problems...)
}

// shared finds addresses that two inbounds listen on: the addresses of names are not known
// before, and only one of the two would have the clients.
func (g *generation) shared() []config.Problem {
	type socket struct {
		network string
		at      netip.AddrPort
	}
	var problems []config.Problem
	owner := map[socket]config.ID{}
	for _, l := range g.pipelines {
		var networks core.Networks
		key := ""
		for _, d := range g.file.Components[l.id].Description.Listeners {
			if networks |= d.Networks; d.Name.IsValid() {
				key = d.Key
			}
		}
		if networks == 0 { // not known
			networks = core.OverTCP | core.OverUDP
		}
		for _, at := range listening(l.inbound) {
			for _, network := range networks.Strings() {
				other, taken := owner[socket{network, at}]
				if !taken {
					owner[socket{network, at}] = l.id
					continue
				}
				err := fmt.Errorf("%s is also taken by %s", at, other)
				if key != "" {
					err = &core.OptionError{Key: key, Err: err}
				}
				problems = append(problems, g.file.Problem(l.id, err))
				break
			}
		}
	}
	return problems
}

// listening returns the addresses that an inbound listens on, if it says so.
func listening(in core.Inbound) []netip.AddrPort {
	if l, ok := in.(interface{ Listening() []netip.AddrPort }); ok {
		return l.Listening()
	}
	return nil
}

// serve starts all components that work by themselves, and all inbounds. failed
// is called if one of those stops by itself.
func (g *generation) serve(before *generation, failed func(error)) {
	g.stage.Commit()
	g.file = nil // its options may hold much, such as users
	g.run()
	known := before.listeners()
	for _, l := range g.pipelines {
		l.served.Go(func() {
			if err := l.inbound.Serve(context.Background(), l.pipeline); err != nil {
				failed(fmt.Errorf("%s: %w", l.id, err))
			}
		})
		g.logListening(l, known)
	}
}

// listeners returns where pipelines listen. A nil generation has none.
func (g *generation) listeners() map[listener]bool {
	all := map[listener]bool{}
	if g == nil {
		return all
	}
	for _, l := range g.pipelines {
		for _, at := range listening(l.inbound) {
			all[listener{l.name, l.id.Name, at}] = true
		}
	}
	return all
}

// listener is an address on which a pipeline listens.
type listener struct {
	pipeline, inbound string
	at                netip.AddrPort
}

// logListening logs a line for each address of an inbound, at the level debug for those that
// the generation before has known too.
func (g *generation) logListening(l *runningPipeline, known map[listener]bool) {
	attrs := []any{slog.String("pipeline", l.name), slog.String("inbound", l.id.Name)}
	var udp []any
	if in, ok := l.inbound.(core.PacketInbound); ok && in.ServesPackets() {
		udp = []any{slog.Bool("udp", true)}
	}
	all := listening(l.inbound)
	if len(all) == 0 { // the inbound does not say
		g.log.Info("listening", slices.Concat(attrs, udp)...)
	}
	for _, at := range all {
		level := slog.LevelInfo
		if known[listener{l.name, l.id.Name, at}] {
			level = slog.LevelDebug
		}
		g.log.Log(context.Background(), level, "listening", slices.Concat(attrs, []any{slog.Any("address", at)}, udp)...)
	}
}

// abandon shuts down a generation that never served.
func (g *generation) abandon() error {
	return g.shutdown(context.Background(), context.Background())
}

// shutdown ends all parts in the reverse order of their dependencies, so the
// pipelines first. Handshakes are dropped and associations cut when the first context
// ends, streams are cut when the second does.
func (g *generation) shutdown(handshakes, streams context.Context) error {
	g.handshakes, g.streams = handshakes, streams
	g.taking.Store(int32(len(g.pipelines)))
	report := g.scope.ShutdownWithContext(context.Background())
	if g.stop != nil {
		g.stop()
		g.running.Wait()
	}
	var failed *multierror.Error
	for service, err := range report.Errors {
		failed = multierror.Append(failed, fmt.Errorf("shut down %s: %w", service.Service, err))
	}
	return failed.ErrorOrNil()
}

// stoppedTaking notes that the inbound of one pipeline has stopped. With the last one, what
// only new connections need is let go.
func (g *generation) stoppedTaking() {
	if g.taking.Add(-1) > 0 {
		return
	}
	for id, built := range g.built {
		if r, ok := built.(core.Retirer); ok {
			g.retire(id, r)
		}
	}
}

// retire retires a component. A panic ends nothing else.
func (g *generation) retire(id config.ID, r core.Retirer) {
	defer func() {
		if v := recover(); v != nil {
			g.log.Error("component panicked", slog.Any("component", id), slog.Any("err", v), slog.String("stack", string(debug.Stack())))
		}
	}()
	r.Retire()
}

// runner is a component that works by itself.
type runner struct {
	core.Runner
	log *slog.Logger
}

// run starts what works by itself. A panic ends one of them alone.
func (g *generation) run() {
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	for _, r := range g.runners {
		g.running.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					r.log.Error("component panicked", slog.Any("err", v), slog.String("stack", string(debug.Stack())))
				}
			}()
			r.Run(ctx)
		})
	}
}

// Shutdown stops the inbound and drains the pipeline. The container calls it.
func (l *runningPipeline) Shutdown(context.Context) error {
	err := l.inbound.Shutdown(l.of.handshakes)
	l.of.stoppedTaking()
	if n := l.pipeline.Drain(l.of.handshakes, l.of.streams); n > 0 {
		l.of.log.Warn("cut connections that outlived the grace period", slog.String("pipeline", l.name), slog.Int("connections", n))
	}
	l.served.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil // dropped handshakes are what was asked for
	}
	return err
}
