package ssh

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	return core.Description{Networks: core.OverTCP}.With(o.Options, o.Password, o.Passphrase)
}

// Describe tells the secret, if the options themselves hold it.
func (p Passphrase) Describe() core.Description {
	if p.Passphrase == "" {
		return core.Description{}
	}
	return core.Description{Secrets: []string{"passphrase"}}
}
