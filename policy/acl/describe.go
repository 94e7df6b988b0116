package acl

import (
	"slices"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/match"
)

var _ core.Describer = Options{}

// Describe implements core.Describer. Without a resolver names are passed on, and
// walk around denied ranges.
func (o Options) Describe() core.Description {
	d := core.Description{ForUsers: append(namedUsers("allow_users", o.AllowUsers), namedUsers("deny_users", o.DenyUsers)...)}
	resolver := core.Named{Key: "resolver", To: o.Resolver}
	switch {
	case resolver.Given():
		d.Targets = core.Targets{Names: core.NamesLookedUp, Resolver: resolver}
	case slices.ContainsFunc(o.DenyTargets, match.Target.IsRange):
		d.Ranges = "deny_targets"
	}
	return d
}

// namedUsers returns the users of a list. Those of its files may be users of the past.
func namedUsers(key string, list []string) (all []core.NamedUser) {
	for i, name := range list {
		if _, ok := match.CutFile(name); !ok {
			all = append(all, core.NamedUser{Key: core.OptionKey(key, strconv.Itoa(i)), Name: name})
		}
	}
	return all
}
