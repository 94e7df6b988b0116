package first

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	return core.Description{Asks: core.NamedList("resolvers", o.Resolvers)}
}
