package aead

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	return core.Description{Networks: core.OverTCP | core.OverUDP}.With(o.Password, o.Options)
}
