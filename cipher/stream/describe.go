package stream

import "github.com/umbra-proxy/umbra/core"

var (
	_ core.Describer = Options{}
	_ core.Describer = PlainOptions{}
)

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	return core.Description{Networks: core.OverTCP | core.OverUDP, Users: new(core.Users)}.With(o.Password)
}

// Describe implements core.Describer.
func (o PlainOptions) Describe() core.Description {
	return core.Description{Networks: core.OverTCP | core.OverUDP, Users: new(core.Users)}.With(o.Password)
}
