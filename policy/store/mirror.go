package store

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// callTimeout bounds each call to a store.
	callTimeout = 3 * time.Second
	// awayPause is how long a store that failed is left alone.
	awayPause = time.Second
	// compareEvery is how often both sides are compared while nothing is amiss.
	compareEvery = time.Hour
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
			m.log.Error("the store is away; going on with what is known here", slog.Any("err", err))
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

// session carries changes until something fails. back is called when both sides
// are alike.
func (m *Mirror) session(ctx context.Context, back func()) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	ready, failed := make(chan struct{}), make(chan error, 1)
	running.Go(func() {
		failed <- m.store.Watch(ctx, m.prefix, sync.OnceFunc(func() { close(ready) }), m.set.Merge)
	})
	select {
	case <-ready:
	case err := <-failed:
		return orEnded(err)
	case <-time.After(callTimeout):
		return errors.New("the store does not answer")
	}
	if err := m.equal(ctx); err != nil {
		return err
	}
	back()
	ticker := time.NewTicker(compareEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-failed:
			return orEnded(err)
		case <-ticker.C:
			if err := m.equal(ctx); err != nil {
				return err
			}
		case <-m.wake:
			if err := m.flush(ctx); err != nil {
				return err
			}
		}
	}
}

func orEnded(err error) error {
	if err == nil {
		err = errors.New("the store has ended")
	}
	return err
}

// flush sends what has changed.
func (m *Mirror) flush(ctx context.Context) error {
	queue, compare := m.take()
	if compare {
		return m.equal(ctx)
	}
	return m.send(ctx, maps.Values(queue))
}

// send puts entries into the store.
func (m *Mirror) send(ctx context.Context, all iter.Seq[Entry]) error {
	for e := range all {
		if err := m.put(ctx, e); err != nil {
			return m.failed(err)
		}
	}
	return nil
}

// failed has the sides compared before anything else is sent: what was to be sent is
// not in the queue any more.
func (m *Mirror) failed(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missed()
	return err
}

func (m *Mirror) put(ctx context.Context, e Entry) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.store.Put(ctx, e)
}

// equal gives each side what it lacks.
func (m *Mirror) equal(ctx context.Context) error {
	m.take() // the set has it
	at := map[string]time.Time{}
	err := m.store.Load(ctx, m.prefix, func(e Entry) {
		at[e.Key] = e.At
		m.set.Merge(e)
	})
	if err != nil {
		return m.failed(err)
	}
	var lacks []Entry // the set may be locked while it tells
	for e := range m.set.All() {
		if known, ok := at[e.Key]; !ok || e.At.After(known) {
			lacks = append(lacks, e)
		}
	}
	return m.send(ctx, slices.Values(lacks))
}
