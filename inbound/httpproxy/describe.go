package httpproxy

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	return core.Description{Secrets: option.SecretKeys("users", o.Users), Users: core.UsersOf(o.Users)}.With(o.StreamOptions)
}
