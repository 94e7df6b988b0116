package engine

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/dial"
)

// Resolution is what a pipeline finds of a name.
type Resolution struct {
	Pipeline  string
	Finder    string        // who finds it, in words
	Elsewhere bool          // nobody on this machine does
	Found     []core.Found  // its addresses, in the order in which they would be tried
	Took      time.Duration // until they were known
	Again     time.Duration // the same for a second question, right after it
	Cached    bool          // that one was answered from memory
	Err       error         // why there are none
}

// Resolve asks each pipeline of f, which it builds and does not serve, for a name.
func Resolve(ctx context.Context, reg *core.Registry, f *config.File, log *slog.Logger, name string) ([]Resolution, error) {
	g, err := build(reg, f, new(core.Process), log)
	if err != nil {
		return nil, err
	}
	g.stage.Commit() // in a process of its own, which ends here
	var all []Resolution
	for _, p := range f.Pipelines {
		r, err := g.resolve(ctx, p, name)
		if err != nil {
			_ = g.abandon()
			return nil, err
		}
		all = append(all, r)
	}
	return all, g.abandon()
}

// resolve asks one pipeline, under its own time for a dial.
func (g *generation) resolve(ctx context.Context, p *config.Pipeline, name string) (Resolution, error) {
	by := targets(g.file, p)
	r := Resolution{Pipeline: p.Name, Finder: by.text}
	var resolver core.Resolver = dial.SystemResolver{}
	switch {
	case by.server.Name != "":
		r.Elsewhere = true
		return r, nil
	case by.resolver.Name != "":
		var err error
		if resolver, err = core.Ref[core.Resolver](by.resolver.Name).Get(core.Env{Graph: graph{g.scope}}); err != nil {
			return r, fmt.Errorf("%s: %w", by.resolver, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, p.DialTimeout.Std())
	defer cancel()
	began := time.Now()
	r.Found, r.Err = core.Tell(ctx, resolver, name)
	r.Took = time.Since(began)
	if r.Err != nil {
		return r, nil
	}
	began = time.Now()
	again, err := core.Tell(ctx, resolver, name)
	r.Again = time.Since(began)
	r.Cached = err == nil && len(again) > 0 && again[0].Cached
	return r, nil
}
