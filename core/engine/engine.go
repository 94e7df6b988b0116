// Package engine makes running pipelines of a checked file, and replaces them by
// those of another without a connection lost.
//
// Each loaded file becomes a generation: a container of named services that
// build one another, and pipelines with their inbounds. What outlives
// a generation (sockets, replay salts, counters) belongs to the core.Process.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/failures"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/core/tally"
)

// Engine runs one file at a time, and what is left of earlier ones.
type Engine struct {
	reg       *core.Registry
	log       *slog.Logger
	observers []core.Observer // of every pipeline, and failures
	failures  *failures.Reporter
	process   *core.Process
	failed    chan error

	retired    sync.WaitGroup     // generations that serve out their connections
	handshakes context.Context    // ends when they drop their handshakes
	drop       context.CancelFunc // ends handshakes
	streams    context.Context    // ends when they cut their streams
	cut        context.CancelFunc // ends streams

	replacing sync.Mutex // held while a file takes the place of another
	ended     bool       // guarded by replacing; Shutdown was called

	mu      sync.Mutex
	current *generation                // guarded by mu, as all that follows
	serving map[*generation]bool       // the current one, and those that serve out their connections
	number  int                        // of the current generation
	gone    map[string]pipeline.Totals // by name of the pipeline: of generations that are no more
	through map[string]pipeline.Sum    // by ID of the outbound: of these
}

// New returns an Engine that runs nothing yet. The observers are notified of every
// connection of every file.
func New(reg *core.Registry, log *slog.Logger, observers ...core.Observer) *Engine {
	reporter := failures.New(log)
	process := new(core.Process)
	e := &Engine{
		reg: reg, log: log, observers: append(observers[:len(observers):len(observers)], reporter, tally.Of(process)), failures: reporter, process: process,
		failed: make(chan error, 1), serving: map[*generation]bool{}, gone: map[string]pipeline.Totals{}, through: map[string]pipeline.Sum{},
	}
	e.handshakes, e.drop = context.WithCancel(context.Background())
	e.streams, e.cut = context.WithCancel(context.Background())
	return e
}

// Check builds everything that f describes, binds nothing and returns all
// mistakes that building finds, each with its place in the file.
func Check(reg *core.Registry, f *config.File, log *slog.Logger) error {
	_, err := build(reg, f, new(core.Process), log)
	return err
}

// Start builds what f describes, binds every address and then serves. On an
// error, which holds all mistakes, nothing is left bound.
func (e *Engine) Start(ctx context.Context, f *config.File) error {
	return e.replace(ctx, f)
}

// Reload puts f in the place of the running file. Connections that come after it
// has returned follow f, but for one that came in the same moment; those that run
// go on under the old file until they end. On an error nothing has changed.
func (e *Engine) Reload(ctx context.Context, f *config.File) error {
	return e.replace(ctx, f)
}

func (e *Engine) replace(ctx context.Context, f *config.File) error {
	e.replacing.Lock()
	defer e.replacing.Unlock()
	if e.ended {
		return core.ErrShutdown
	}
	next, err := build(e.reg, f, e.process, e.log, e.observers...)
	if err != nil {
		return err
	}
	if err := next.listen(ctx); err != nil {
		return errors.Join(err, next.abandon())
	}
	dial.NamesOf(e.process).Limit(nameBounds(f), e.log)
	core.NAT64Of(e.process).Set(option.Prefixes(f.Process.NAT64))
	e.failures.SetHops(hopsOf(f))
	next.serve(e.now(), e.fail)
	old := e.adopt(next)
	e.log.Info("serving", slog.Int("generation", next.number), slog.Int("pipelines", len(next.pipelines)))
	if old != nil {
		e.retired.Go(func() { e.retire(old) })
	}
	return nil
}

// now returns the current generation, or nil.
func (e *Engine) now() *generation {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

// adopt makes next the current generation, and returns the one before, or nil.
func (e *Engine) adopt(next *generation) (old *generation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.number++
	next.number, next.since = e.number, time.Now()
	old, e.current = e.current, next
	e.serving[next] = true
	return old
}

// nameBounds returns the bounds on names of [process].
func nameBounds(f *config.File) dial.Bounds {
	return dial.Bounds{Lookups: f.Process.MaxLookups, Client: f.Process.ClientLookups, Association: f.Process.AssociationNames}
}

// retire lets an old generation finish its handshakes and serve out its
// connections, however long they take.
func (e *Engine) retire(old *generation) {
	if err := old.shutdown(e.handshakes, e.streams); err != nil {
		e.log.Error("retire the old configuration", slog.Any("err", err))
	}
	e.forget(old)
}

// forget drops a generation whose connections have ended.
func (e *Engine) forget(g *generation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.serving, g)
	for _, p := range g.pipelines {
		sum := e.gone[p.name]
		sum.Add(p.pipeline.Totals(true))
		e.gone[p.name] = sum
		p.pipeline.Outbounds(e.through)
	}
}

// Shutdown stops accepting, drops unfinished handshakes, waits for the running
// connections of all generations until ctx ends, and then cuts them. It returns
// what failed.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.replacing.Lock()
	e.ended = true
	e.replacing.Unlock()
	e.mu.Lock()
	current := e.current
	e.current = nil
	e.mu.Unlock()
	e.drop()
	defer context.AfterFunc(ctx, e.cut)()
	defer e.cut()
	var err error
	if current != nil {
		err = current.shutdown(e.handshakes, e.streams)
		e.forget(current)
	}
	e.retired.Wait()
	e.failures.Close()
	return err
}

// hopsOf returns the names of the outbounds that pass requests on to a server.
func hopsOf(f *config.File) map[string]bool {
	hops := map[string]bool{}
	for id, c := range f.Components {
		for _, s := range c.Description.Servers {
			if s.Role == core.RoleHop {
				hops[id.String()] = true
			}
		}
	}
	return hops
}

// Failed returns a channel with the first error of an inbound that stopped
// serving by itself.
func (e *Engine) Failed() <-chan error { return e.failed }

func (e *Engine) fail(err error) {
	select {
	case e.failed <- err:
	default: // one is enough to end the process
	}
}
