package tls

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. Keys are in files, so the options hold no
// secret.
func (Options) Describe() core.Description { return core.Description{Networks: core.OverTCP} }
