package store

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// Healthy is a Store that knows how it is without being asked for an entry.
type Healthy interface {
	// Health reports whether the store works, and since when it has not taken what it was
	// given: the zero Time if it has.
	Health() (up bool, late time.Time)
}

// Measure passes on the figures of a policy's store: whether it works, and the age of what it
// has not taken since late, which is the zero Time for nothing.
func Measure(yield func(core.Figure), policy string, s Store, up bool, late time.Time) {
	if h, ok := s.(Healthy); ok {
		works, since := h.Health()
		up = up && works
		if late.IsZero() || !since.IsZero() && since.Before(late) {
			late = since
		}
	}
	lag := 0.0
	if !late.IsZero() {
		lag = max(0, time.Since(late).Seconds())
	}
	yield(metrics.Truth(metrics.StoreUp, up, policy))
	yield(metrics.Value(metrics.StoreLag, lag, policy))
}

// Measure passes on the figures of the store. A nil Mirror has none.
func (m *Mirror) Measure(yield func(core.Figure), policy string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	late := m.sending
	if late.IsZero() {
		late = m.queued
	}
	m.mu.Unlock()
	Measure(yield, policy, m.store, m.up.Load(), late)
}
