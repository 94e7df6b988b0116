package acl

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. Without a resolver names are passed on.
func (o Options) Describe() core.Description {
	resolver := core.Named{Key: "resolver", To: o.Resolver}
	if !resolver.Given() {
		return core.Description{}
	}
	return core.Description{Targets: core.Targets{Names: core.NamesLookedUp, Resolver: resolver}}
}
