package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// Branch is a chain that an option names: what requests go through after a choice.
type Branch struct {
	env    core.Env
	key    string // of the option
	stages core.Chain
	built  []any
	hops   []string // the names of its outbounds, for paths
}

// New returns the branch that the option key of the component in env names. Its errors name
// the stage. A gate can't stand in a branch, because its client is admitted by then, nor
// what is notified of whole connections.
func New(env core.Env, key string, stages core.Chain) (*Branch, error) {
	b := &Branch{env: env, key: key, stages: stages}
	var errs []error
	for i, s := range stages {
		built, err := env.Graph.Component(s)
		if err != nil {
			return nil, err
		}
		at := stages.StageKey(key, i)
		if _, ok := built.(core.Gate); ok {
			errs = append(errs, core.BadOption(at, "%s is asked before a client's first byte is read, and here its request is known; move it before the inbound of the pipeline", s))
		} else if _, ok := built.(core.Observer); ok && s.RefSection().Place() == core.PlaceBeforeLast {
			errs = append(errs, core.BadOption(at, "%s is notified of the connections of a pipeline; move it into the chain of the pipeline", s))
		}
		b.built = append(b.built, built)
		if s.RefSection() == core.SectionOutbound {
			b.hops = append(b.hops, s.String())
		}
	}
	return b, errors.Join(errs...)
}

// Over returns the Dialer of the branch over wire. An error is a core.ComponentError that
// names the stage.
func (b *Branch) Over(wire core.Dialer) (core.Dialer, error) {
	hop := len(b.built) // the first
	var hops []core.Dialer
	var at []int // their stages
	for i, built := range b.built {
		out, ok := built.(core.Outbound)
		if !ok || b.stages[i].RefSection() != core.SectionOutbound {
			continue
		}
		hop = min(hop, i)
		over, err := Hop(b.env.Process, b.stages[i].String(), out, wire)
		if err != nil {
			return nil, b.at(i, err)
		}
		wire = over
		hops, at = append(hops, over), append(at, i)
	}
	if hop == len(b.built) {
		return nil, core.InComponent(b.env, core.BadOption(b.key, "no outbound; a chain ends with one or more"))
	}
	for i := hop - 1; i >= 0; i-- {
		m, ok := Middleware(b.env.Process, b.built[i])
		if !ok {
			continue
		}
		wrapped, err := Wrap(b.stages[i].String(), m, wire)
		if err != nil {
			return nil, b.at(i, err)
		}
		wire = wrapped
	}
	return dialer{wire, b, hops, at}, nil
}

// dialer is the Dialer of a branch.
type dialer struct {
	core.Dialer
	branch *Branch
	hops   []core.Dialer
	at     []int // their stages
}

var _ core.Finder = dialer{}

// DialStream notes the branch's outbounds as chosen, and dials.
func (d dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	d.note(r)
	return d.Dialer.DialStream(ctx, r)
}

// OpenPackets notes the branch's outbounds as chosen, and opens.
func (d dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	d.note(r)
	return d.Dialer.OpenPackets(ctx, r)
}

func (d dialer) note(r *core.Request) {
	if r.Flow == nil {
		return
	}
	for _, hop := range d.branch.hops {
		r.Flow.Choose(hop)
	}
}

// CheckPackets returns a core.ComponentError that names the stage that carries no UDP, or
// one of a stage's own.
func (d dialer) CheckPackets() error {
	i, err := NoPackets(d.hops)
	if err == nil {
		return d.Dialer.CheckPackets()
	}
	b, stage := d.branch, d.at[i]
	if !isPlaced(err) {
		err = fmt.Errorf("%s %w", b.stages[stage], err)
	}
	return b.at(stage, err)
}

// Find implements core.Finder.
func (d dialer) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	return core.Find(ctx, d.Dialer, r)
}

// at places an error at stage i.
func (b *Branch) at(i int, err error) error {
	return core.InComponent(b.env, &core.OptionError{Key: b.stages.StageKey(b.key, i), Err: err})
}
