package inbound

import "github.com/umbra-proxy/umbra/core"

var (
	_ core.Describer = Options{}
	_ core.Describer = Rejection{}
)

// Describe returns the listening addresses with their networks, and the transports. A kind
// that embeds Options and serves fewer networks than mode lists, or addresses of other
// options, implements Describe itself.
func (o Options) Describe() core.Description {
	networks := o.Mode.Networks()
	return core.Description{
		Listeners: o.Listen.Describe("listen", networks),
		Wire:      core.NamedList("transport", o.Transport),
		Networks:  networks,
	}
}

// Describe returns the decoy.
func (r Rejection) Describe() core.Description {
	return core.Description{Servers: []core.Server{{Key: "decoy", Role: core.RoleSide, Addr: r.Decoy.Addr()}}}
}
