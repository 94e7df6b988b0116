package relay

import (
	"maps"
	"slices"

	"github.com/umbra-proxy/umbra/core"
)

var _ core.Describer = Options{}

// Describe implements core.Describer. The servers of next are targets: the chain after
// the inbound dials them, and a policy knows requests to them by their names.
func (o Options) Describe() core.Description {
	d := core.Description{Wire: []core.Named{{Key: "cipher", To: o.Cipher}}, Users: core.UsersOf(o.Next)}
	for _, name := range slices.Sorted(maps.Keys(o.Next)) {
		next := o.Next[name]
		server := core.OptionKey("next", name, "server")
		d.Servers = append(d.Servers, core.Server{Key: server, Role: core.RoleTarget, Addr: next.Server.Addr()})
		if next.Key != "" {
			d.Secrets = append(d.Secrets, core.OptionKey("next", name, "key"))
		}
	}
	return d.With(o.Options, o.Rejection)
}
