package coretest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// record contains the events that a fake has observed.
type record struct {
	mu      sync.Mutex
	events  []core.Event  // guarded by mu, as is the rest
	ends    int           // events that ended a connection
	wrong   []string      // violations of the contract
	changed chan struct{} // closed at the next event
}

// add appends e. mu is held.
func (r *record) add(e core.Event) {
	r.events = append(r.events, e)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Events returns the events so far.
func (r *record) Events() []core.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Kinds returns the kinds of the events so far.
func (r *record) Kinds() []core.EventKind {
	var kinds []core.EventKind
	for _, e := range r.Events() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// WaitEnds waits until n events in all have ended a connection, and returns all events.
func (r *record) WaitEnds(t testing.TB, n int) []core.Event {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	for {
		r.mu.Lock()
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed, ends, events := r.changed, r.ends, slices.Clone(r.events)
		r.mu.Unlock()
		if ends >= n {
			return events
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("ends: got %d, want %d; all events: %v", ends, n, r.Kinds())
		}
	}
}

// check reports the violations to t. mu is held.
func (r *record) check(t testing.TB, who string) {
	t.Helper()
	for _, w := range r.wrong {
		t.Errorf("%s: %s", who, w)
	}
}
