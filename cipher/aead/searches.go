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
// clients by one search at most. Searches for the user of a datagram don't wait: see
// shares.
type searches struct {
	slots chan struct{}

	mu     sync.Mutex
	queues map[netip.Prefix]*queue // guarded by mu

	datagrams *shares
}

// queue is the searches of one client address that run or wait.
type queue struct {
	turn    chan struct{} // capacity 1
	members int           // guarded by searches.mu
}

func newSearches() *searches {
	return &searches{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), queues: map[netip.Prefix]*queue{}, datagrams: newShares()}
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
