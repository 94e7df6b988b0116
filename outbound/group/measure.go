package group

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// serve notes the member that serves from now on.
func (k *kept) serve(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.serves != "" && k.serves != name {
		k.switches.Add(1)
	}
	k.serves = name
}

// Measure implements core.Measurer.
func (g *Group) Measure(yield func(core.Figure)) {
	for _, m := range g.members {
		yield(metrics.Truth(metrics.GroupMemberUp, !m.IsOut(), g.env.Name, m.name))
	}
	if g.single == nil {
		return
	}
	selected := g.selected()
	for _, m := range g.members {
		yield(metrics.Truth(metrics.GroupMemberSelected, m == selected, g.env.Name, m.name))
	}
	yield(metrics.Value(metrics.GroupSwitches, float64(g.kept.switches.Load()), g.env.Name))
}

// selected returns the member that requests go through. Before the first request, or if that
// member is out, it is the one that the next request would take, or nil if there is none.
func (g *Group) selected() *Member {
	if m := g.current.Load(); m != nil && !m.IsOut() {
		return m
	}
	q := Question{Request: &core.Request{Network: core.TCP}, Dry: true}
	return g.foresee(q, g.members, time.Now())
}
