package ss

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. What the transports carry and what
// the cipher protects they describe themselves.
func (o Options) Describe() core.Description {
	return core.Description{
		Servers: []core.Server{{
			Key: "server", Role: core.RoleHop, Addr: o.Server.Addr(), Resolver: core.Named{Key: "resolver", To: o.Resolver},
		}},
		Targets:  core.Targets{Names: core.NamesSent},
		Wire:     append(core.NamedList("transport", o.Transport), core.Named{Key: "cipher", To: o.Cipher}),
		Networks: core.OverTCP | core.OverUDP, InStreams: o.UDP == "stream",
	}
}
