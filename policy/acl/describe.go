package acl

import (
	"slices"

	"github.com/umbra-proxy/umbra/core"
)

var _ core.Describer = Options{}

// Describe implements core.Describer. Without a resolver names are passed on, and
// walk around denied ranges.
func (o Options) Describe() core.Description {
	resolver := core.Named{Key: "resolver", To: o.Resolver}
	if !resolver.Given() {
		if slices.ContainsFunc(o.DenyTargets, func(t Target) bool { return t.kind == network }) {
			return core.Description{Ranges: "deny_targets"}
		}
		return core.Description{}
	}
	return core.Description{Targets: core.Targets{Names: core.NamesLookedUp, Resolver: resolver}}
}
