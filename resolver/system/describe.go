package system

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. Nothing is dialled and no other resolver
// asked.
func (Options) Describe() core.Description { return core.Description{} }
