package aead2022

import "github.com/umbra-proxy/umbra/core"

var (
	_ core.Describer = Options16{}
	_ core.Describer = Options32{}
	_ core.Describer = OptionsPlain{}
)

// Describe implements core.Describer.
func (o Options16) Describe() core.Description { return describe(o.Password, o.Options) }

// Describe implements core.Describer.
func (o Options32) Describe() core.Description { return describe(o.Password, o.Options) }

// Describe implements core.Describer.
func (o OptionsPlain) Describe() core.Description { return describe(o.Password) }

func describe(parts ...core.Describer) core.Description {
	return core.Description{Networks: core.OverTCP | core.OverUDP, Users: new(core.Users)}.With(parts...)
}
