package redirect

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	var networks core.Networks
	if o.TCP != "off" {
		networks |= core.OverTCP
	}
	if o.UDP == "tproxy" {
		networks |= core.OverUDP
	}
	return core.Description{Listeners: o.Listen.Describe("listen", networks), Networks: networks}
}
