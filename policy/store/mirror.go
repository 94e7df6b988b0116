package store

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"
)

const (
	// callTimeout bounds each call to a store.
	callTimeout = 3 * time.Second
	// awayPause is how long a store that failed is left alone.
	awayPause = time.Second
	// maxQueue is how many changes wait for a store; with more of them both sides are
	// compared instead.
	maxQueue = 1 << 14
)

// Set is what a policy has in its memory. It is safe for concurrent use.
type Set interface {
	// All returns all entries, those that were taken back too, until their end.
	All() iter.Seq[Entry]
	// Merge takes in an entry of others, unless there is a newer one. It may be one
	// that the set has had before, or that it has sent itself.
	Merge(e Entry)
}

// Mirror keeps a Set and the entries under a prefix of a Store alike. While the store
// is away the set goes on with what it has; when it is back both sides are compared,
// and what one of them lacks it gets, so that nothing is lost that any side still
// has. A nil Mirror does nothing.
type Mirror struct {
	store  Store
	prefix string
	set    Set
	log    *slog.Logger
	wake   chan struct{} // has room for one
	turn   chan struct{} // is held by the Run that works; has room for one

	mu      sync.Mutex
	queue   map[string]Entry // guarded by mu, as is compare
	compare bool             // the queue is not all that has changed
}

// NewMirror returns a Mirror of set and the entries of s under prefix. Run makes it
// work.
func NewMirror(s Store, prefix string, set Set, log *slog.Logger) *Mirror {
	return &Mirror{store: s, prefix: prefix, set: set, log: log, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1), queue: map[string]Entry{}}
}

// Put has an entry that the set has taken in sent soon. It waits for nothing, and
// keeps the entry's Value.
func (m *Mirror) Put(e Entry) {
	if m == nil {
		return
	}
	m.mu.Lock()
	switch queued, has := m.queue[e.Key]; {
	case m.compare: // it will be found
	case has && !e.Newer(queued):
	case !has && len(m.queue) >= maxQueue:
		m.missed()
	default:
		m.queue[e.Key] = e
	}
	m.mu.Unlock()
	m.rouse()
}

// missed notes that some of what has changed was not sent. mu is held.
func (m *Mirror) missed() { m.queue, m.compare = map[string]Entry{}, true }

func (m *Mirror) rouse() {
	select {
	case m.wake <- struct{}{}:
	default: // it will look at all
	}
}

// take empties the queue. It reports whether the sides must be compared.
func (m *Mirror) take() (queue map[string]Entry, compare bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	queue, compare = m.queue, m.compare
	m.queue, m.compare = map[string]Entry{}, false
	return queue, compare
}

// Run carries changes both ways until ctx ends. That the store is away is logged
// once, and so is that it is back. After a reload the Run of the new file waits for
// that of the old one to end.
func (m *Mirror) Run(ctx context.Context) {
	if m == nil {
		return
	}
	if !m.begin(ctx) {
		return
	}
	defer func() { <-m.turn }()
	storing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop() // what is sent last is stored too
	running.Go(func() { m.store.Run(storing) })
	away := false
	for {
		err := m.session(ctx, func() {
			if away {
				m.log.Info("the store is back")
			}
			away = false
		})
		if ctx.Err() != nil {
			m.last()
			return
		}
		if !away {
			m.log.Error("the store is away; using local state only", slog.Any("err", err))
			away = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(awayPause):
		}
	}
}

// begin waits for the turn to work; it reports false if ctx ends before.
func (m *Mirror) begin(ctx context.Context) bool {
	select {
	case m.turn <- struct{}{}:
		return true // even if ctx has ended: there may be something to send
	default:
	}
	select {
	case m.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// last sends what was not sent yet, if the store lets it.
func (m *Mirror) last() {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_ = m.flush(ctx) // the next start, or another node, compares
}
