package users

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

var _ core.Describer = Options{}

// Describe returns the keys of the users' secrets.
func (o Options) Describe() core.Description {
	return core.Description{Secrets: option.SecretKeys("users", o.Users)}
}
