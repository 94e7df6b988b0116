package store

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// callTimeout bounds each call to a store.
	callTimeout = 3 * time.Second
	// retryPause is the pause between an error of the store and the next attempt.
	retryPause = time.Second
	// maxQueue is how many changes may wait for the store; with more of them both
	// sides are compared instead.
	maxQueue = 1 << 14
)

// Set is the state of a policy in memory. It is safe for concurrent use.
type Set interface {
	// All iterates over all entries that have not expired, deletions included.
	All() iter.Seq[Entry]
	// Merge adds an entry from the store, unless the set has a newer one. The entry
	// may be one that the set already contains or has sent itself.
	Merge(e Entry)
}

// Mirror keeps a Set and the entries under a prefix of a Store equal. While the store
// is unreachable the set stays in use alone. When the store is reachable again both
// sides are compared and the missing entries are copied, so no entry is lost that
// either side still has. A nil Mirror does nothing.
type Mirror struct {
	store  Store
	prefix string
	set    Set
	log    *slog.Logger
	wake   chan struct{} // wakes session; capacity 1
	active chan struct{} // a semaphore, held by the one active Run; capacity 1

	up atomic.Bool // set and store were equal, and no call has failed since

	mu      sync.Mutex
	queue   map[string]Entry // guarded by mu, as all that follows
	compare bool             // the queue does not contain all changes
	queued  time.Time        // of the oldest change that waits; zero for none
	sending time.Time        // of the oldest change that is being sent; zero for none
}

// NewMirror returns a Mirror of set and the entries of s under prefix. It copies
// nothing until Run is called.
func NewMirror(s Store, prefix string, set Set, log *slog.Logger) *Mirror {
	return &Mirror{store: s, prefix: prefix, set: set, log: log, wake: make(chan struct{}, 1), active: make(chan struct{}, 1), queue: map[string]Entry{}}
}

// Put queues an entry that was added to the set, to be sent to the store. Put does
// not block. It keeps the entry's Value.
func (m *Mirror) Put(e Entry) {
	if m == nil {
		return
	}
	m.mu.Lock()
	if m.queued.IsZero() {
		m.queued = time.Now()
	}
	switch queued, has := m.queue[e.Key]; {
	case m.compare: // the comparison will find the entry
	case has && !e.Newer(queued):
	case !has && len(m.queue) >= maxQueue:
		m.dropQueue()
	default:
		m.queue[e.Key] = e
	}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // a wake-up is pending and covers this entry
	}
}

// dropQueue discards the queue and schedules a comparison instead. mu is held.
func (m *Mirror) dropQueue() { m.queue, m.compare = map[string]Entry{}, true }

// drain empties the queue and returns its entries. compare reports whether both
// sides must be compared.
func (m *Mirror) drain() (queue map[string]Entry, compare bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	queue, compare = m.queue, m.compare
	m.queue, m.compare = map[string]Entry{}, false
	if m.sending.IsZero() {
		m.sending = m.queued
	}
	m.queued = time.Time{}
	return queue, compare
}

// Run copies changes in both directions until ctx ends. Losing the store is logged
// once, and so is its return. After a reload the Run of the new generation waits
// until the Run of the old one has returned.
func (m *Mirror) Run(ctx context.Context) {
	if m == nil {
		return
	}
	if !m.acquire(ctx) {
		return
	}
	defer func() { <-m.active }()
	storing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop() // after flushLast, so that the store still saves its entries
	running.Go(func() { m.store.Run(storing) })
	trouble := "" // what was logged; "" while the store works
	for {
		err := m.session(ctx, func() {
			if trouble != "" {
				m.log.Info("the store is back")
			}
			trouble = ""
			m.up.Store(true)
		})
		if ctx.Err() != nil {
			m.flushLast()
			return
		}
		m.up.Store(false)
		if text := Trouble(err); text != trouble {
			m.log.Error(text, slog.Any("err", err))
			trouble = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

// acquire waits until no other Run is active. It returns false if ctx ends first.
func (m *Mirror) acquire(ctx context.Context) bool {
	select {
	case m.active <- struct{}{}:
		return true // even if ctx has ended: there may be queued entries to send
	default:
	}
	select {
	case m.active <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// flushLast tries once to send the entries that are still queued.
func (m *Mirror) flushLast() {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_ = m.flush(ctx) // after a failure the next start, or another node, compares
}
