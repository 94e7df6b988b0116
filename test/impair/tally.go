package impair

import (
	"slices"
	"sync"
)

// Counts are the numbers of datagrams of one direction that arrived at the relay and were sent,
// lost, duplicated, held back and corrupted. A duplicated datagram is sent twice. A delayed
// datagram counts as sent once its delay is over.
type Counts struct{ Came, Out, Lost, Duplicated, Held, Corrupted int }

// tally counts and records the datagrams of one direction, for all clients.
type tally struct {
	mu     sync.Mutex
	counts Counts   // guarded by mu
	record [][]byte // guarded by mu
}

// add adds counts.
func (t *tally) add(c Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Came += c.Came
	t.counts.Out += c.Out
	t.counts.Lost += c.Lost
	t.counts.Duplicated += c.Duplicated
	t.counts.Held += c.Held
	t.counts.Corrupted += c.Corrupted
}

// keep records p, which must not be modified afterwards.
func (t *tally) keep(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record = append(t.record, p)
}

func (t *tally) snapshot() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

func (t *tally) recorded() [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	copies := make([][]byte, len(t.record))
	for i, p := range t.record {
		copies[i] = slices.Clone(p)
	}
	return copies
}
