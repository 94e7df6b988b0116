package tally

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// OK is the result of an orderly end.
const OK = "ok"

// pipeline is what is counted for a pipeline.
type pipeline struct {
	results          [len(networks)]counters
	drops            counters
	lasted, answered histogram
}

// ResultOf returns in one word how a connection has ended: "ok", or core.Event.Reason.
func ResultOf(e core.Event) string {
	if reason := e.Reason(); reason != "" {
		return reason
	}
	return OK
}

// ended counts a connection that has ended.
func (p *pipeline) ended(e core.Event) {
	p.results[index(e.Request.Network)].get(ResultOf(e)).Add(1)
	s := e.Stages
	if e.Kind == core.Closed && !s.Requested.IsZero() {
		p.lasted.in(metrics.Long).ObserveTime(s.Ended.Sub(s.Requested))
	}
	if !s.Answered.IsZero() {
		p.answered.in(metrics.Short).ObserveTime(max(0, s.Answered.Sub(s.Requested)))
	}
}

// ObserveDrops counts datagrams that were dropped.
func (t *Tally) ObserveDrops(d core.Drops) {
	p := t.pipelines.get(d.Pipeline)
	for _, dropped := range d.Dropped {
		p.drops.get(string(dropped.Reason)).Add(uint64(dropped.Count))
	}
}

func (p *pipeline) measure(name string, yield func(core.Figure)) {
	for i, network := range networks {
		p.results[i].each(func(result string, n *counter) {
			count(yield, metrics.ConnectionsTotal, n.Load(), name, string(network), result)
		})
	}
	p.drops.each(func(reason string, n *counter) { count(yield, metrics.DatagramsDropped, n.Load(), name, reason) })
	p.lasted.yield(yield, metrics.ConnectionSeconds, name)
	p.answered.yield(yield, metrics.FirstByteSeconds, name)
}

// Results returns how many connections of a pipeline have ended, by result.
func (t *Tally) Results(pipeline string) map[string]uint64 {
	all := map[string]uint64{}
	p := t.pipelines.get(pipeline)
	for i := range p.results {
		p.results[i].each(func(result string, n *counter) { all[result] += n.Load() })
	}
	return all
}
