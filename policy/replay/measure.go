package replay

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/policy/store"
)

var _ core.Measurer = (*Policy)(nil)

// Measure implements core.Measurer. That the store is away is noticed by a request.
func (p *Policy) Measure(yield func(core.Figure)) {
	yield(metrics.Value(metrics.PolicyRefusals, float64(p.refused.Load()), p.name, "replay"))
	store.Measure(yield, p.name, p.store, !p.away.Load(), p.late())
}

// late returns when the oldest claim was made that the store does not have; the zero Time if
// it has all.
func (p *Policy) late() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.sending.IsZero():
		return p.sending
	case len(p.pending) > 0:
		return p.pending[0].at
	}
	return time.Time{}
}

// sent notes that no claim is being sent: those that the store did not take wait again.
func (p *Policy) sent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sending = time.Time{}
}
