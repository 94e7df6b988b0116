package users

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

var _ core.Describer = Options{}

// Describe returns the users and the keys of their secrets. A users_file may have any user.
func (o Options) Describe() core.Description {
	known := core.UsersOf(o.Users)
	known.More = o.UsersFile != ""
	return core.Description{Secrets: option.SecretKeys("users", o.Users), Users: known}
}
