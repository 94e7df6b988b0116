package acl

import (
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/match"
)

var _ core.Describer = Options{}

// Describe implements core.Describer. Without a resolver names are passed on, and
// walk around denied ranges.
func (o Options) Describe() core.Description {
	d := core.Description{ForUsers: append(match.NamedUsers("allow_users", o.AllowUsers), match.NamedUsers("deny_users", o.DenyUsers)...)}
	resolver := core.Named{Key: "resolver", To: o.Resolver}
	switch {
	case resolver.Given():
		d.Targets = core.Targets{Names: core.NamesLookedUp, Resolver: resolver}
	case slices.ContainsFunc(o.DenyTargets, match.Target.IsRange):
		d.Ranges = "deny_targets"
	}
	return d
}
