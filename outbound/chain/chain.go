// Package chain is the outbound that is a piece of a chain, for use in several places.
package chain

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/chain"
)

// Options are the keys of an [outbound.x] table of kind "chain".
type Options struct {
	_     core.About `help:"a piece of a chain, to be named in several places"`
	Chain core.Chain `toml:"chain" required:"true" help:"the stages: what a pipeline's chain may have after its inbound"`
}

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	return core.Description{Branches: []core.Branch{{Label: "chain", Chain: o.Chain.Named("chain")}}}
}

// New returns the outbound. Its errors name the stage.
func New(env core.Env, o Options) (core.Outbound, error) {
	b, err := chain.New(env, "chain", o.Chain)
	if err != nil {
		return nil, err
	}
	return b, nil
}
