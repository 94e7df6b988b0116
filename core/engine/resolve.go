package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/plan"
)

// Resolution is what a pipeline finds of a name.
type Resolution struct {
	Pipeline  string
	Branch    []string      // the labels of the branches in which this holds; nil for all
	Finder    string        // who finds it, in words
	Elsewhere bool          // no resolver on this machine does
	Found     []core.Found  // its addresses, in the order in which they would be tried
	Took      time.Duration // until they were known
	Again     time.Duration // the same for a second question, right after it
	Cached    bool          // that one was answered from memory
	Err       error         // why there are none
}

// Resolve asks each pipeline of f, which it builds and does not serve, for a name.
// A pipeline has one Resolution for each way through its branches.
func Resolve(ctx context.Context, reg *core.Registry, f *config.File, log *slog.Logger, name string) ([]Resolution, error) {
	g, err := build(reg, f, new(core.Process), log)
	if err != nil {
		return nil, err
	}
	g.stage.Commit() // in a process of its own, which ends here
	var all []Resolution
	for i, p := range plan.Of(f).Pipelines {
		for _, n := range p.Names {
			if n.Of != plan.NameTargets {
				continue
			}
			r, err := g.resolve(ctx, f.Pipelines[i], n, name)
			if err != nil {
				_ = g.abandon()
				return nil, err
			}
			all = append(all, r)
		}
	}
	return all, g.abandon()
}

// resolve asks whom a pipeline would ask, under its own time for a dial.
func (g *generation) resolve(ctx context.Context, p *config.Pipeline, by plan.Name, name string) (Resolution, error) {
	r := Resolution{Pipeline: p.Name, Branch: by.Branch, Finder: by.Text}
	var resolver core.Resolver = dial.System(g.process)
	switch by.By {
	case plan.BySystem:
	case plan.ByResolver:
		var err error
		if resolver, err = core.Ref[core.Resolver](idOf(by.Component).Name).Get(core.Env{Graph: graph{g.scope, g}}); err != nil {
			return r, fmt.Errorf("%s: %w", by.Component, err)
		}
	default:
		r.Elsewhere = true
		return r, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.DialTimeout.Std())
	defer cancel()
	began := time.Now()
	r.Found, r.Err = core.Tell(ctx, resolver, name)
	r.Took, r.Err = time.Since(began), core.NoAnswer(r.Err, p.DialTimeout.Std())
	if r.Err != nil {
		return r, nil
	}
	began = time.Now()
	again, err := core.Tell(ctx, resolver, name)
	r.Again = time.Since(began)
	r.Cached = err == nil && len(again) > 0 && again[0].Cached
	return r, nil
}

// idOf returns the ID that a plan has as text. Its names have no dots.
func idOf(component string) config.ID {
	section, name, _ := strings.Cut(component, ".")
	return config.ID{Section: core.Section(section), Name: name}
}
