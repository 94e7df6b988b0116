package metrics

import (
	"math"
	"sort"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Histogram counts values by their size. It may be used from any goroutine and takes no lock.
type Histogram struct {
	bounds []float64
	counts []atomic.Uint64 // one for each bound, and one for what is above
	sum    atomic.Uint64   // the bits of a float64
}

// NewHistogram returns a histogram with upper bounds, in ascending order.
func NewHistogram(bounds []float64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts a value.
func (h *Histogram) Observe(v float64) {
	h.counts[sort.SearchFloat64s(h.bounds, v)].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// ObserveTime counts a time, in seconds.
func (h *Histogram) ObserveTime(d time.Duration) { h.Observe(d.Seconds()) }

// Counts returns what was counted.
func (h *Histogram) Counts() core.Counts {
	c := core.Counts{Bounds: h.bounds, AtMost: make([]uint64, len(h.bounds)), Sum: math.Float64frombits(h.sum.Load())}
	for i := range h.counts {
		c.Count += h.counts[i].Load()
		if i < len(c.AtMost) {
			c.AtMost[i] = c.Count
		}
	}
	return c
}
