package sip003

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer. Options of plugins may hold keys.
func (o Options) Describe() core.Description {
	d := core.Description{Networks: o.Mode.Networks()}
	if o.Options.Reveal() != "" {
		d.Secrets = []string{"options"}
	}
	return d
}
