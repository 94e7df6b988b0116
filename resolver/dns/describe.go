package dns

import (
	"maps"
	"slices"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

var _ core.Describer = Options{}

// Describe implements core.Describer. A server is described once for each list that
// contains it.
func (o Options) Describe() core.Description {
	d := core.Description{Via: core.Named{Key: "via", To: o.Via}, Servers: o.describe(o.Servers, "servers")}
	for _, domain := range slices.Sorted(maps.Keys(o.Domains)) {
		var texts []string
		for _, s := range o.Domains[domain] {
			texts = append(texts, s.String())
		}
		d.Domains = append(d.Domains, core.Domain{Name: domain, Servers: texts})
		d.Servers = append(d.Servers, o.describe(o.Domains[domain], "domains", domain)...)
	}
	return d
}

// describe returns the servers of one list, whose key is given in parts.
func (o Options) describe(list []option.NameServer, key ...string) []core.Server {
	var all []core.Server
	for i, s := range list {
		all = append(all, core.Server{
			Key: core.OptionKey(append(slices.Clone(key), strconv.Itoa(i))...), Role: core.RoleNameServer,
			Addr: s.Addr(), Text: s.String(), Fixed: o.fixed(s),
		})
	}
	return all
}
