package ss

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. A transport carries streams only; the cipher's
// own description lists the networks that it protects.
func (o Options) Describe() core.Description {
	networks := core.OverTCP | core.OverUDP
	if len(o.Transport) > 0 && o.UDP != "stream" {
		networks = core.OverTCP
	}
	return core.Description{
		Servers: []core.Server{{
			Key: "server", Role: core.RoleHop, Addr: o.Server.Addr(), Resolver: core.Named{Key: "resolver", To: o.Resolver},
		}},
		Targets:  core.Targets{Names: core.NamesSent},
		Wire:     append(core.NamedList("transport", o.Transport), core.Named{Key: "cipher", To: o.Cipher}),
		Networks: networks, InStreams: o.UDP == "stream",
	}
}
