package aead

import (
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// searches limits the cost of searching through all users. A search for the user of a
// stream waits for a slot: at most half of the processors search concurrently, and a
// client address has one slot at a time, so that a flood from one address delays other
// clients by one search at most. Searches for the user of a datagram don't wait: they get
// a twentieth of the time, and datagrams beyond that are dropped.
type searches struct {
	slots chan struct{}

	mu     sync.Mutex
	queues map[netip.Prefix]*queue // guarded by mu, as are the fields below
	left   time.Duration           // remaining time for datagrams
	since  time.Time               // when left was updated
}

// queue is the searches of one client address that run or wait.
type queue struct {
	turn    chan struct{} // capacity 1
	members int           // guarded by searches.mu
}

const (
	// datagramShare is the divisor for the share of time that datagrams get.
	datagramShare = 20
	// datagramBurst is the maximum time for datagrams at once.
	datagramBurst = 50 * time.Millisecond
)

func newSearches() *searches {
	return &searches{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), queues: map[netip.Prefix]*queue{}}
}

// acquire waits for a slot for at most patience, or until ended is closed; ended may be
// nil. It returns the function that releases the slot, or nil if there was none in time.
func (t *searches) acquire(source netip.Prefix, patience time.Duration, ended <-chan struct{}) (done func()) {
	l := t.join(source)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	enter := func(room chan struct{}) bool {
		select {
		case room <- struct{}{}:
			return true
		case <-timer.C:
		case <-ended:
		}
		return false
	}
	if !enter(l.turn) {
		t.leave(source, l)
		return nil
	}
	if !enter(t.slots) {
		<-l.turn
		t.leave(source, l)
		return nil
	}
	return func() {
		<-t.slots
		<-l.turn
		t.leave(source, l)
	}
}

func (t *searches) join(source netip.Prefix) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.queues[source]
	if l == nil {
		l = &queue{turn: make(chan struct{}, 1)}
		t.queues[source] = l
	}
	l.members++
	return l
}

func (t *searches) leave(source netip.Prefix, l *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.members--; l.members == 0 {
		delete(t.queues, source)
	}
}

// tryAcquire is acquire for a datagram: it returns nil instead of waiting.
func (t *searches) tryAcquire() (done func()) {
	began := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		t.left, t.since = datagramBurst, began
	}
	if since := began.Sub(t.since); since >= datagramShare { // a shorter time would be rounded to 0
		t.left, t.since = min(t.left+since/datagramShare, datagramBurst), began
	}
	if t.left <= 0 {
		return nil
	}
	return func() {
		took := time.Since(began)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.left -= took
	}
}
