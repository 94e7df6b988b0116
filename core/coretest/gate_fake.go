package coretest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Gate is a core.Gate that records what it is told and checks the promise that
// every nil Admit is followed by exactly one ending event. The zero Gate admits
// everyone and is ready.
type Gate struct {
	Deny func(core.Client) error // answers Admit; nil admits everyone

	mu       sync.Mutex
	admitted map[core.Client]int // admitted and not ended; guarded by mu, as is the rest
	opened   map[core.Client]int // opened and not closed
	events   []core.Event
	ends     int
	wrong    []string
	changed  chan struct{} // closed at the next event
}

var _ core.Gate = (*Gate)(nil)

// Admit counts c, unless Deny refuses it.
func (g *Gate) Admit(c core.Client) error {
	if g.Deny != nil {
		if err := g.Deny(c); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.admitted == nil {
		g.admitted, g.opened = map[core.Client]int{}, map[core.Client]int{}
	}
	g.admitted[c]++
	return nil
}

// Observe records e.
func (g *Gate) Observe(e core.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, e)
	switch {
	case g.admitted[e.Client] == 0:
		g.wrong = append(g.wrong, e.Kind.String()+" for a client that is not admitted, or has ended")
	case e.Kind == core.Opened:
		g.opened[e.Client]++
	case e.Kind == core.Moved: // what was opened goes on from another address
		g.admitted[e.Client]--
		g.opened[e.Client] = max(0, g.opened[e.Client]-1)
	case !e.Kind.Ends():
		g.wrong = append(g.wrong, "an event of the kind "+e.Kind.String())
	default:
		g.ends++
		g.admitted[e.Client]--
		if e.Kind == core.Closed && g.opened[e.Client] > 0 {
			g.opened[e.Client]--
		}
	}
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// Events returns what was observed so far.
func (g *Gate) Events() []core.Event {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.events)
}

// Kinds returns the kinds of what was observed so far.
func (g *Gate) Kinds() []core.EventKind {
	var kinds []core.EventKind
	for _, e := range g.Events() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// WaitEnds waits for n ending events in all and returns all events.
func (g *Gate) WaitEnds(t testing.TB, n int) []core.Event {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	for {
		g.mu.Lock()
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed, ends, events := g.changed, g.ends, slices.Clone(g.events)
		g.mu.Unlock()
		if ends >= n {
			return events
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("ending events: got %d, want %d; all events: %v", ends, n, g.Kinds())
		}
	}
}

// Check reports broken promises: a client that was admitted and has no ending
// event yet, an event beyond that, a relay that opened and did not close.
func (g *Gate) Check(t testing.TB) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.wrong {
		t.Errorf("gate: %s", w)
	}
	for c, n := range g.admitted {
		if n > 0 {
			t.Errorf("gate: %v was admitted and has not ended, %d times", c, n)
		}
	}
	for c, n := range g.opened {
		if n > 0 {
			t.Errorf("gate: %v was opened and not closed, %d times", c, n)
		}
	}
}
