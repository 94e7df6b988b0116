package engine

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/samber/do/v2"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// errReported says that a component could not be built for a reason that is
// among the problems already.
var errReported = errors.New("not built")

// build makes all components and pipelines of f. Its error holds every mistake
// that their constructors found.
func build(reg *core.Registry, f *config.File, process *core.Process, log *slog.Logger, observers ...core.Observer) (*generation, error) {
	g := &generation{observers: observers, file: f, reg: reg, process: process, log: log, scope: do.New(), built: map[config.ID]any{}, measurers: map[config.ID]core.Measurer{}, stage: new(core.Stage)}
	ids := slices.SortedFunc(maps.Keys(f.Components), func(a, b config.ID) int {
		return cmp.Or(cmp.Compare(a.Section, b.Section), cmp.Compare(a.Name, b.Name))
	})
	invoke := make([]func() error, len(ids))
	for n, id := range ids {
		invoke[n] = g.provide(f.Components[id])
	}
	for _, p := range f.Pipelines {
		do.ProvideNamed(g.scope, "pipeline/"+p.Name, func(i do.Injector) (*runningPipeline, error) { return g.pipeline(i, p) })
	}
	for n, id := range ids { // unused ones too: their mistakes count
		if err := invoke[n](); err != nil {
			_ = g.report(id, err)
		}
	}
	for _, p := range f.Pipelines {
		l, err := do.InvokeNamed[*runningPipeline](g.scope, "pipeline/"+p.Name)
		switch {
		case err == nil:
			g.pipelines = append(g.pipelines, l)
		case !errors.Is(err, errReported):
			g.problems = append(g.problems, f.ChainProblem(p.Name, 0, err))
		}
	}
	if err := config.Join(g.problems...); err != nil {
		_ = g.abandon() // nothing was started, so nothing can fail
		return nil, err
	}
	return g, nil
}

// provide tells the container how to build a component, and returns a function
// that has it built, if it has not been.
func (g *generation) provide(c *config.Component) (invoke func() error) {
	id := c.ID
	failed := false // the container asks a provider that failed again and again
	do.ProvideNamed(g.scope, service(id), func(i do.Injector) (built any, err error) {
		if failed {
			return nil, errReported
		}
		defer func() { failed = err != nil }()
		defer func() {
			if v := recover(); v != nil {
				g.log.Error("constructor panicked", slog.Any("component", id), slog.String("stack", string(debug.Stack())))
				err = g.report(id, fmt.Errorf("panic: %v", v))
			}
		}()
		kinds := g.reg.Section(id.Section)
		if kinds == nil {
			return nil, g.report(id, fmt.Errorf("no section %q", id.Section))
		}
		env := core.Env{
			Section: id.Section, Name: id.Name, Process: g.process, Stage: g.stage,
			Log: g.log.With(slog.String(string(id.Section), id.Name)),
			// The injector that the provider got, not the scope: only through
			// it does the container learn who depends on whom.
			Graph: graph{i, g},
		}
		if built, err = kinds.Build(c.Kind, env, c.Options); err != nil {
			return nil, g.report(id, err)
		}
		g.built[id] = built
		c = nil // the container keeps this function, and the options may hold much
		if r, ok := built.(core.Runner); ok {
			g.runners = append(g.runners, runner{r, env.Log})
		}
		if m, ok := built.(core.Measurer); ok {
			g.measurers[id] = m
		}
		return built, nil
	})
	return func() error {
		_, err := do.InvokeNamed[any](g.scope, service(id))
		return err
	}
}

// report adds the mistakes in err, unless it only says that a dependency was
// not built.
func (g *generation) report(id config.ID, err error) error {
	if !errors.Is(err, errReported) {
		g.problems = append(g.problems, g.file.Problems(id, err)...)
	}
	return errReported
}

// service is a component's name in the container.
func service(id config.ID) string { return string(id.Section) + "/" + id.Name }

// graph finds components for a constructor. It does not keep the file.
type graph struct {
	i  do.Injector
	of *generation
}

var _ core.Digester = graph{}

// Component returns the component that r names.
func (g graph) Component(r core.Reference) (any, error) {
	return do.InvokeNamed[any](g.i, service(config.ID{Section: r.RefSection(), Name: r.RefName()}))
}

// Digest returns the digest of the tables of the component that r names, while the file is
// being built.
func (g graph) Digest(r core.Reference) string {
	if g.of.file == nil {
		return ""
	}
	return g.of.file.Digest(config.ID{Section: r.RefSection(), Name: r.RefName()})
}
