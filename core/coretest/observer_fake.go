package coretest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Observer is a core.Observer that records its events and checks that each
// connection has one Connected and one end. The zero Observer is ready.
type Observer struct {
	mu      sync.Mutex
	live    map[core.Client]int // connected and not ended; guarded by mu, as is the rest
	moved   int                 // clients that go on from an address of which nothing was told
	events  []core.Event
	ends    int
	wrong   []string
	changed chan struct{} // closed at the next event
}

var _ core.Observer = (*Observer)(nil)

// Observe records e.
func (o *Observer) Observe(e core.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.live == nil {
		o.live = map[core.Client]int{}
	}
	o.events = append(o.events, e)
	from := e.Client
	from.Unattributed = false // a front names its client after it has connected
	switch {
	case e.Kind == core.Connected:
		o.live[from]++
	case e.Kind == core.Moved:
		o.live[from]--
		o.moved++
	case e.Kind.Ends() && o.live[from] > 0:
		o.live[from]--
		o.ends++
	case e.Kind.Ends() && o.moved > 0:
		o.moved--
		o.ends++
	case e.Kind.Ends():
		o.wrong = append(o.wrong, e.Kind.String()+" of a client that has not connected, or has ended")
	}
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// WaitEnds waits for n ends in all and returns all events.
func (o *Observer) WaitEnds(t testing.TB, n int) []core.Event {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	for {
		o.mu.Lock()
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed, ends, events := o.changed, o.ends, slices.Clone(o.events)
		o.mu.Unlock()
		if ends >= n {
			return events
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("ends: got %d, want %d; all events: %v", ends, n, events)
		}
	}
}

// Check reports connections without an end, and ends beyond that.
func (o *Observer) Check(t testing.TB) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.wrong {
		t.Errorf("observer: %s", w)
	}
	for c, n := range o.live {
		if n > 0 {
			t.Errorf("observer: %v connected and has not ended, %d times", c, n)
		}
	}
}
