package aead

import (
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// turns bounds what looking through all users costs. Whoever may wait for it, a
// stream's request, gets a turn: at most half of the processors look at once, and
// one client address has one turn at a time, so that a flood from one holds up
// nobody else for longer than that. Datagrams can't wait: looking for theirs gets
// a twentieth of the time, and what comes beyond that is lost.
type turns struct {
	slots chan struct{}

	mu    sync.Mutex
	lines map[netip.Prefix]*line // guarded by mu, as all that follows
	left  time.Duration          // to look for the users of datagrams
	since time.Time              // when left was that
}

// line is those of one client address who have a turn or wait for it.
type line struct {
	turn    chan struct{} // has room for one
	members int           // guarded by turns.mu
}

const (
	// datagramShare is one in how much time goes to datagrams of unknown users.
	datagramShare = 20
	// datagramBurst is how much of that time may come at once.
	datagramBurst = 50 * time.Millisecond
)

func newTurns() *turns {
	return &turns{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), lines: map[netip.Prefix]*line{}}
}

// take waits for a turn, until ended is closed at the latest, which may be nil. It
// returns what ends it, or nil if there was none in time.
func (t *turns) take(source netip.Prefix, patience time.Duration, ended <-chan struct{}) (done func()) {
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

func (t *turns) join(source netip.Prefix) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[source]
	if l == nil {
		l = &line{turn: make(chan struct{}, 1)}
		t.lines[source] = l
	}
	l.members++
	return l
}

func (t *turns) leave(source netip.Prefix, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.members--; l.members == 0 {
		delete(t.lines, source)
	}
}

// try is take for a datagram: it returns nil rather than wait.
func (t *turns) try() (done func()) {
	began := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		t.left, t.since = datagramBurst, began
	}
	if since := began.Sub(t.since); since >= datagramShare { // what is less would be rounded off
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
