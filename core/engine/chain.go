package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/samber/do/v2"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/chain"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// pipeline builds a pipeline from the stages of its chain.
func (g *generation) pipeline(i do.Injector, p *config.Pipeline) (*runningPipeline, error) {
	c := chainBuilder{generation: g, injector: i, table: p}
	inbound, err := stage[core.Inbound](&c, p.Inbound())
	c.note(err)
	packets := false
	if in, ok := inbound.(core.PacketInbound); ok {
		packets = in.ServesPackets()
	}
	dialer := c.hops(packets)
	dialer = c.wrap(dialer, p.Middleware(), false)
	dialer = c.wrap(dialer, p.Gates(), true)
	if c.broken {
		return nil, errReported
	}
	var path []string
	for _, id := range p.Outbounds() {
		path = append(path, id.String())
	}
	l := &runningPipeline{name: p.Name, inbound: inbound, id: p.Inbound(), of: g}
	observers := append(c.observers, g.observers...)
	l.pipeline = pipeline.New(pipeline.Config{
		Name: p.Name, Log: g.log.With("pipeline", p.Name), Gates: c.gates, Observers: observers, Record: wantSteps(observers), Users: core.Shared[userCounts](g.process).on.Load,
		Dialer: dialer, Path: path,
		DialTimeout: p.DialTimeout.Std(), IdleTimeout: p.IdleTimeout.Std(), KeepAlive: p.KeepAlive.Std(), Loops: netio.LoopsOf(g.process),
		Budget: budget.Of(g.process),
	})
	return l, nil
}

// chainBuilder is a pipeline being built.
type chainBuilder struct {
	*generation
	injector  do.Injector
	table     *config.Pipeline
	gates     []core.Gate
	observers []core.Observer
	broken    bool
}

// stage returns the component of a stage, whose section is for T.
func stage[T any](c *chainBuilder, id config.ID) (T, error) {
	built, err := do.InvokeNamed[any](c.injector, service(id))
	component, _ := built.(T) // of its section, as Build returns it
	return component, err
}

// note remembers that a stage could not be built; why is known already.
func (c *chainBuilder) note(err error) { c.broken = c.broken || err != nil }

// refuse reports a mistake in the chain, at the stage id, or in the component that the error
// names.
func (c *chainBuilder) refuse(id config.ID, err error) {
	c.broken = true
	if placed, ok := errors.AsType[*core.ComponentError](err); ok {
		c.problems = append(c.problems, c.file.Problems(config.ID{Section: placed.Section, Name: placed.Name}, placed.Err)...)
		return
	}
	for i, at := range c.table.Chain {
		if at == id {
			c.problems = append(c.problems, c.file.ChainProblem(c.table.Name, i, err))
		}
	}
}

// hops lays each outbound over the one before it, the first over the bare
// network. packets says whether they must carry UDP.
func (c *chainBuilder) hops(packets bool) core.Dialer {
	var hops []core.Dialer
	var ids []config.ID // of hops
	var wire core.Dialer = dial.Net{Names: dial.NamesOf(c.process), Loops: netio.LoopsOf(c.process)}
	for _, id := range c.table.Outbounds() {
		out, err := stage[core.Outbound](c, id)
		if err != nil {
			c.note(err)
			continue
		}
		over, err := chain.Hop(c.process, id.String(), out, wire)
		if err != nil {
			c.refuse(id, err)
			continue
		}
		wire = over
		hops, ids = append(hops, over), append(ids, id)
	}
	if i, err := chain.NoPackets(hops); packets && err != nil {
		c.refuse(ids[i], c.noPackets(ids[i], err))
	}
	return wire
}

// noPackets adds the mend to the error of an outbound that carries no UDP.
func (c *chainBuilder) noPackets(id config.ID, err error) error {
	if placed, ok := errors.AsType[*core.ComponentError](err); ok { // of a branch
		bad := *placed
		mend := func(err error) error {
			return fmt.Errorf("%w, and %s serves UDP; set networks = [%q] in the rules that lead here, or mode = %[3]q in [%[2]s]", err, c.table.Inbound(), core.TCP)
		}
		if option, ok := errors.AsType[*core.OptionError](placed.Err); ok {
			bad.Err = &core.OptionError{Key: option.Key, Err: mend(option.Err)}
		} else {
			bad.Err = mend(placed.Err)
		}
		return &bad
	}
	return fmt.Errorf("%s %w, and %s serves UDP; set mode = %q in [%[3]s]", id, err, c.table.Inbound(), core.TCP)
}

// wrap puts the stages before dialer, the first of them outermost. A stage is used for
// each role that it has. Gates must stand before the inbound, middleware that is no
// gate after it; an observer alone may stand on either side.
func (c *chainBuilder) wrap(dialer core.Dialer, ids []config.ID, beforeInbound bool) core.Dialer {
	for n := len(ids) - 1; n >= 0; n-- {
		id := ids[n]
		p, err := stage[any](c, id)
		if err != nil {
			c.note(err)
			continue
		}
		gate, isGate := p.(core.Gate)
		m, isMiddleware := chain.Middleware(c.process, p)
		switch {
		case isGate && !beforeInbound:
			c.refuse(id, fmt.Errorf("%s stands after the inbound, but it is asked before a client's first byte is read; move it before %s", id, c.table.Inbound()))
		case isMiddleware && !isGate && beforeInbound:
			c.refuse(id, fmt.Errorf("%s stands before %s, but it needs the target that the inbound reads; move it after", id, c.table.Inbound()))
		case isGate:
			c.gates = append([]core.Gate{gate}, c.gates...)
		}
		if o, ok := p.(core.Observer); ok && !isGate {
			c.observers = append([]core.Observer{o}, c.observers...)
		}
		if isMiddleware {
			wrapped, err := chain.Wrap(id.String(), m, dialer)
			if err != nil {
				c.refuse(id, err)
				continue
			}
			dialer = wrapped
		}
	}
	return dialer
}

// wantSteps returns whether one of the observers wants the steps of requests, or nil if none
// ever does.
func wantSteps(observers []core.Observer) func() bool {
	var want []core.StepObserver
	for _, o := range observers {
		if o, ok := o.(core.StepObserver); ok {
			want = append(want, o)
		}
	}
	if want == nil {
		return nil
	}
	return func() bool { return slices.ContainsFunc(want, core.StepObserver.WantsSteps) }
}
