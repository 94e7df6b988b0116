package direct

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	d := core.Description{
		Targets:  core.Targets{Names: core.NamesLookedUp, Resolver: core.Named{Key: "resolver", To: o.Resolver}},
		Networks: core.OverTCP | core.OverUDP,
	}
	if o.ProxyProtocol != 0 { // see CheckPackets
		d.Networks = core.OverTCP
	}
	return d
}
