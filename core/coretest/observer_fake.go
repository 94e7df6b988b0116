package coretest

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// Observer is a core.Observer that records its events and checks that each
// connection has one Connected and one end. The zero Observer is ready.
type Observer struct {
	record
	live  map[core.Client]int // connected and not ended; guarded by mu, as is the rest
	moved int                 // clients that moved to an address without a Connected event
}

var _ core.Observer = (*Observer)(nil)

// Observe records e.
func (o *Observer) Observe(e core.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.live == nil {
		o.live = map[core.Client]int{}
	}
	defer o.add(e)
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
}

// Check reports connections without an end, and surplus ends.
func (o *Observer) Check(t testing.TB) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.check(t, "observer")
	for c, n := range o.live {
		if n > 0 {
			t.Errorf("observer: %v connected and has not ended, %d times", c, n)
		}
	}
}
