package block

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. The outbound accepts requests of both networks,
// and refuses them.
func (Options) Describe() core.Description {
	return core.Description{Targets: core.Targets{Names: core.NamesUnused}, Networks: core.OverTCP | core.OverUDP}
}
