package metrics

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
)

// Value returns a figure of a counter or a gauge. labels are in the order of m.Labels.
func Value(m *core.Metric, v float64, labels ...string) core.Figure {
	return core.Figure{Metric: m, Labels: labels, Value: v}
}

// Truth returns a figure of a gauge that is 1 or 0.
func Truth(m *core.Metric, is bool, labels ...string) core.Figure {
	if is {
		return Value(m, 1, labels...)
	}
	return Value(m, 0, labels...)
}

// Figure returns what h has counted as a figure of m.
func (h *Histogram) Figure(m *core.Metric, labels ...string) core.Figure {
	return core.Figure{Metric: m, Labels: labels, Counts: h.Counts()}
}

// Counters count events by a word, such as a reason. Words are constants or names of the file:
// one that a client chooses has no bound. The zero Counters is ready, and may be used from any
// goroutine.
type Counters struct {
	mu sync.Mutex
	by map[string]*atomic.Uint64 // guarded by mu
}

// Of returns the counter of a word, the same one at each call. It takes a lock: what counts
// often keeps what it returns.
func (c *Counters) Of(word string) *atomic.Uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.by[word]
	if n == nil {
		if c.by == nil {
			c.by = map[string]*atomic.Uint64{}
		}
		n = new(atomic.Uint64)
		c.by[word] = n
	}
	return n
}

// Only returns the counters of words, in their order, and forgets those of all other words.
func (c *Counters) Only(words []string) []*atomic.Uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := make(map[string]*atomic.Uint64, len(words))
	all := make([]*atomic.Uint64, len(words))
	for i, word := range words {
		if by[word] == nil {
			by[word] = c.by[word]
		}
		if by[word] == nil {
			by[word] = new(atomic.Uint64)
		}
		all[i] = by[word]
	}
	c.by = by
	return all
}

// Measure passes on a figure of m for each word, which is the last label.
func (c *Counters) Measure(yield func(core.Figure), m *core.Metric, labels ...string) {
	c.mu.Lock()
	by := maps.Clone(c.by)
	c.mu.Unlock()
	for _, word := range slices.Sorted(maps.Keys(by)) {
		yield(Value(m, float64(by[word].Load()), append(slices.Clone(labels), word)...))
	}
}
