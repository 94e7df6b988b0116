package websocket

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

var _ core.Describer = Options{}

// Describe implements core.Describer. Any line of the header may hold a secret.
func (o Options) Describe() core.Description {
	return core.Description{Networks: core.OverTCP, Secrets: option.SecretKeys("headers", o.Headers)}
}
