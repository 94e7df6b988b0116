// Package chain makes one Dialer of the stages of a chain: outbounds laid over one another,
// and middleware around them. Pipelines and the branches of outbounds are built by it alike.
package chain

import (
	"errors"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/tally"
)

// Hop lays an outbound over wire, the hops before it. id names the outbound in errors, in
// the figures of the process and in the steps of requests.
func Hop(process *core.Process, id string, out core.Outbound, wire core.Dialer) (core.Dialer, error) {
	over, err := out.Over(wire)
	switch {
	case errors.Is(err, core.ErrFirstHop) && !isPlaced(err):
		return nil, fmt.Errorf("%s %w: it reaches targets from this machine, whatever stands before it; move it to the front or leave it out", id, err)
	case err != nil:
		return nil, err
	case over == nil:
		return nil, fmt.Errorf("%s made neither a dialer nor an error", id)
	}
	return counted{over, id, tally.Of(process).Outbound(id)}, nil
}

// NoPackets returns why a chain of hops, each over the one before it, carries no UDP, and
// the first of those hops that are to blame; or nil. A hop that carries UDP in streams needs
// none below it.
func NoPackets(hops []core.Dialer) (at int, err error) {
	for i := len(hops) - 1; i >= 0; i-- {
		lower := hops[i].CheckPackets()
		if lower == nil {
			break
		}
		at, err = i, lower
	}
	return at, err
}

// isPlaced reports whether an error tells its place: that of a member of a group.
func isPlaced(err error) bool {
	_, ok := errors.AsType[*core.ComponentError](err)
	return ok
}

// Middleware returns the middleware that a resolver or a policy is, or false if it is none.
func Middleware(process *core.Process, stage any) (core.Middleware, bool) {
	if m, ok := stage.(core.Middleware); ok {
		return m, true
	}
	if r, ok := stage.(core.Resolver); ok {
		return dial.Resolve(r, dial.NamesOf(process)), true
	}
	return nil, false
}

// Wrap puts middleware around a Dialer. id names it in errors and in the steps of
// requests.
func Wrap(id string, m core.Middleware, next core.Dialer) (core.Dialer, error) {
	wrapped := dial.Named(id, m).Wrap(next)
	if wrapped == nil {
		return nil, fmt.Errorf("%s made no dialer", id)
	}
	return wrapped, nil
}
