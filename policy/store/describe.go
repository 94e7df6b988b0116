package store

import "github.com/umbra-proxy/umbra/core"

// Describe returns the description of a component whose option key holds p: the
// store's server, and whether the option contains a password.
func (p Place) Describe(key string) core.Description {
	if !isRedis(p.text) {
		return core.Description{}
	}
	a, err := parseAddress(p.text)
	if err != nil {
		return core.Description{}
	}
	var d core.Description
	if a.password != "" {
		d.Secrets = []string{key}
	}
	if a.network != "tcp" {
		return d
	}
	for _, host := range a.hosts {
		if addr, err := core.ParseAddr(host); err == nil {
			d.Servers = append(d.Servers, core.Server{Key: key, Role: core.RoleSide, Addr: addr})
		}
	}
	return d
}
