package aead

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

var _ core.Measurer = (*Cipher)(nil)

// searched counts a search for a user.
func (m *memory) searched(found bool) {
	if found {
		m.found.Add(1)
	} else {
		m.missed.Add(1)
	}
}

// Measure implements core.Measurer. A cipher with one key does not search.
func (c *Cipher) Measure(yield func(core.Figure)) {
	if c.users.Load() == nil {
		return
	}
	yield(metrics.Value(metrics.CipherTrials, float64(c.memory.found.Load()), c.name, "true"))
	yield(metrics.Value(metrics.CipherTrials, float64(c.memory.missed.Load()), c.name, "false"))
}
