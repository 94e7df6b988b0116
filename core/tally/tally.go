// Package tally counts what happens to connections: by inbound, by pipeline and by outbound.
// The counts are those of the process, whatever file it serves, so that they never fall.
package tally

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// Tally is a core.Observer that counts. The zero Tally is ready.
type Tally struct {
	inbounds  table[inbound]
	pipelines table[pipeline]
	outbounds table[Outbound]
}

var _ core.DropObserver = (*Tally)(nil)

// Of returns the Tally of a process.
func Of(p *core.Process) *Tally { return core.Shared[Tally](p) }

// table has a T for each name that has come up. Names are those of a file.
type table[T any] struct {
	mu  sync.RWMutex
	all map[string]*T // guarded by mu
}

// get returns the T of a name.
func (t *table[T]) get(name string) *T {
	t.mu.RLock()
	one := t.all[name]
	t.mu.RUnlock()
	if one != nil {
		return one
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]*T{}
	}
	if t.all[name] == nil {
		t.all[name] = new(T)
	}
	return t.all[name]
}

// each calls f for each name, in order.
func (t *table[T]) each(f func(name string, one *T)) {
	t.mu.RLock()
	all := maps.Clone(t.all)
	t.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f(name, all[name])
	}
}

// counter is a counter, and counters are some by a word, of which there are few.
type (
	counter  = atomic.Uint64
	counters = table[counter]
)

// histogram is a histogram that is made when the first value comes.
type histogram struct {
	p atomic.Pointer[metrics.Histogram]
}

func (h *histogram) in(bounds func() []float64) *metrics.Histogram {
	if made := h.p.Load(); made != nil {
		return made
	}
	h.p.CompareAndSwap(nil, metrics.NewHistogram(bounds()))
	return h.p.Load()
}

// yield passes the histogram on, if it has values.
func (h *histogram) yield(yield func(core.Figure), m *core.Metric, labels ...string) {
	if made := h.p.Load(); made != nil {
		yield(core.Figure{Metric: m, Labels: labels, Counts: made.Counts()})
	}
}

func count(yield func(core.Figure), m *core.Metric, n uint64, labels ...string) {
	yield(core.Figure{Metric: m, Labels: labels, Value: float64(n)})
}

// Observe counts a step of a connection.
func (t *Tally) Observe(e core.Event) {
	switch {
	case e.Kind == core.Connected:
		t.inbounds.get(e.Client.Inbound).accepted[index(e.Client.Network)].Add(1)
	case e.Kind == core.HandshakeFailed:
		t.inbounds.get(e.Client.Inbound).failed(e)
	case e.Kind.Ends() && e.Request != nil:
		t.inbounds.get(e.Client.Inbound).requested(e.Stages)
		t.pipelines.get(e.Pipeline).ended(e)
	}
}

// Measure implements core.Measurer.
func (t *Tally) Measure(yield func(core.Figure)) {
	t.inbounds.each(func(name string, in *inbound) { in.measure(name, yield) })
	t.pipelines.each(func(name string, p *pipeline) { p.measure(name, yield) })
	t.outbounds.each(func(id string, o *Outbound) { o.measure(id, yield) })
}

// index returns 0 for TCP and 1 for UDP.
func index(n core.Network) int {
	if n == core.UDP {
		return 1
	}
	return 0
}

// networks are the names of what index returns.
var networks = [...]core.Network{core.TCP, core.UDP}
