package ss

import "github.com/umbra-proxy/umbra/core"

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	d := core.Description{Wire: []core.Named{{Key: "cipher", To: o.Cipher}}}.With(o.Options, o.Rejection)
	if d.InStreams = o.UDPOverStream; d.InStreams {
		d.Networks |= core.OverUDP
	}
	return d
}
