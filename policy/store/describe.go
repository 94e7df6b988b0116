package store

import (
	"net/url"

	"github.com/umbra-proxy/umbra/core"
)

// Describe returns the description of a component whose option key holds p: the
// store's server, and whether the option contains a password.
func (p Place) Describe(key string) core.Description {
	if !isRedis(p.text) {
		return core.Description{}
	}
	u, err := url.Parse(p.text)
	if err != nil {
		return core.Description{}
	}
	var d core.Description
	if _, secret := u.User.Password(); secret {
		d.Secrets = []string{key}
	}
	if o, err := redisOptions(p.text); err == nil && o.Network == "tcp" {
		if addr, err := core.ParseAddr(o.Addr); err == nil {
			d.Servers = []core.Server{{Key: key, Role: core.RoleSide, Addr: addr}}
		}
	}
	return d
}
