package socks5

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. A transport carries streams only.
func (o Options) Describe() core.Description {
	d := core.Description{Networks: o.Mode.Networks()}
	if len(o.Transport) > 0 {
		d.Networks = core.OverTCP
	}
	return d.With(o.Options, o.Password)
}
