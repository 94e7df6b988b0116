package ban

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// Causes of bans beside the failures of clients.
const (
	hand     = reasons + iota // the operator
	theStore                  // another node
	causes                    // the number of causes
)

// causeNames are the labels of causes.
var causeNames = [causes]string{authFailed: "auth", replayed: "replay", cutShort: "short", malformed: "malformed", hand: "hand", theStore: "store"}

var _ core.Measurer = (*Policy)(nil)

// Measure implements core.Measurer. A policy that only observes refuses nobody, and counts
// bans all the same.
func (p *Policy) Measure(yield func(core.Figure)) {
	t, name := p.table, p.env.Name
	yield(metrics.Value(metrics.Bans, float64(t.active()), name))
	for cause := range t.made {
		yield(metrics.Value(metrics.BansTotal, float64(t.made[cause].Load()), name, causeNames[cause]))
	}
	yield(metrics.Value(metrics.PolicyRefusals, float64(t.refused.Load()), name, "banned"))
	p.link.mirror.Measure(yield, name)
}

// hold notes whether the ban of a record is active. mu is held.
func (t *table) hold(r *record, holds bool) {
	if r.holds == holds {
		return
	}
	r.holds = holds
	if holds {
		t.holding++
	} else {
		t.holding--
	}
}

// active returns the number of bans that hold.
func (t *table) active() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.holding
}
