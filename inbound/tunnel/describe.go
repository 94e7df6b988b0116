package tunnel

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. The chain after the inbound dials the target.
func (o Options) Describe() core.Description {
	target := core.Server{Key: "target", Role: core.RoleTarget, Addr: o.Target.Addr()}
	return core.Description{Servers: []core.Server{target}}.With(o.Options)
}
