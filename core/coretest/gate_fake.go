package coretest

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// Gate is a core.Gate that records its events and checks the contract that exactly one
// ending event follows every nil Admit. The zero Gate admits every client and is ready.
type Gate struct {
	Deny func(core.Client) error // the result of Admit; nil admits every client

	record
	admitted map[core.Client]int // admitted and not ended; guarded by mu, as is the rest
	opened   map[core.Client]int // opened and not closed
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
	defer g.add(e)
	switch {
	case g.admitted[e.Client] == 0:
		g.wrong = append(g.wrong, e.Kind.String()+" for a client that is not admitted, or has ended")
	case e.Kind == core.Opened:
		g.opened[e.Client]++
	case e.Kind == core.Moved: // an opened relay continues from another address
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
}

// Check reports violations of the contract: an admitted client without an ending event,
// an event after the ending event, an opened relay that was not closed.
func (g *Gate) Check(t testing.TB) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.check(t, "gate")
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
