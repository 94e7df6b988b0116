package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// The interval between two sweeps for idle connections is an eighth of the idle
// timeout, so that one is cut up to an eighth late and never early, but no more
// than this: keep-alive begins with the first sweep, and associations may have an
// idle timeout of their own.
const (
	sweepsPerIdle    = 8
	streamSweep      = 15 * time.Second
	associationSweep = 2 * time.Second
)

// connection is a stream or an association in a live set. Its methods may be
// called from any goroutine.
type connection interface {
	// flow returns what the connection is counted, metered and cut by.
	flow() *core.Flow
	// network tells streams and associations apart.
	network() core.Network
	// progress returns a number that changes whenever the connection moves
	// something.
	progress() int64
	// inQueues returns how many bytes the kernel has yet to deliver.
	inQueues() int
	// idleTimeout returns the time without progress after which it is cut: most, or
	// less.
	idleTimeout(most time.Duration) time.Duration
	// lasts returns what is to be done about a connection that has come as far as a
	// sweep, or nil. It is called at every sweep.
	lasts() (do func())
	// activity returns what the sweep remembers of the connection, which is guarded
	// by liveSet.mu.
	activity() *activity
	// snapshot tells of the connection.
	snapshot() Connection
}

// liveSet is what a pipeline serves at a time: streams and associations. It cuts
// those that are idle.
type liveSet struct {
	idle time.Duration // without progress, after which a connection is cut

	mu           sync.Mutex
	members      map[connection]struct{} // guarded by mu, as all that follows
	associations int                     // of members
	draining     bool                    // no more are taken
	empty        chan struct{}           // closed when members is empty, if someone waits
	timer        *time.Timer             // of the next sweep; nil while members is empty
	next         time.Time               // when that is
}

// activity is what the sweep remembers of a connection.
type activity struct {
	progress int64
	moved    time.Time // when it came, or progress was seen
	quiet    bool      // there was none at the last sweep
	queued   int       // bytes in the kernel's queues when it grew quiet
}

func newLiveSet(idle time.Duration) *liveSet {
	return &liveSet{idle: idle, members: map[connection]struct{}{}}
}

// enter takes a connection in and calls live, if that is not nil. It reports false
// while draining.
func (l *liveSet) enter(c connection, live func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return false
	}
	now := time.Now()
	l.members[c] = struct{}{}
	*c.activity() = activity{progress: c.progress(), moved: now}
	if c.network() == core.UDP {
		l.associations++
	}
	if live != nil {
		live()
	}
	l.schedule(now)
	return true
}

// leave takes a connection out.
func (l *liveSet) leave(c connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, in := l.members[c]; !in {
		return
	}
	delete(l.members, c)
	if c.network() == core.UDP {
		l.associations--
	}
	if len(l.members) > 0 {
		return
	}
	l.timer.Stop()
	l.timer = nil
	if l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// schedule makes the next sweep come in time. mu is held.
func (l *liveSet) schedule(now time.Time) {
	interval := min(l.idle/sweepsPerIdle, streamSweep)
	if l.associations > 0 {
		interval = min(interval, associationSweep)
	}
	next := now.Add(interval)
	switch {
	case l.timer == nil:
		l.timer = time.AfterFunc(interval, l.sweep)
	case l.next.After(now) && !next.Before(l.next): // it comes soon enough
		return
	default:
		l.timer.Reset(interval)
	}
	l.next = next
}

// sweep cuts the connections without progress for their idle timeout. Counters
// that are looked at now and then cost a moving stream nothing, where a deadline
// for each read would.
func (l *liveSet) sweep() {
	var idle []connection
	var todo []func() // outside the lock, because it is a system call or more for each
	l.mu.Lock()
	now := time.Now()
	for c := range l.members {
		if do := c.lasts(); do != nil {
			todo = append(todo, do)
		}
		if l.isIdle(c, now) {
			idle = append(idle, c)
		}
	}
	if l.timer != nil {
		l.schedule(now)
	}
	l.mu.Unlock()
	for _, do := range todo {
		do()
	}
	for _, c := range idle {
		c.flow().Cut(core.ErrIdle)
	}
}

// isIdle notes what a connection has done since the last sweep and reports whether
// it has been idle for too long. mu is held.
func (l *liveSet) isIdle(c connection, now time.Time) bool {
	a := c.activity()
	if p := c.progress(); p != a.progress {
		a.progress, a.moved, a.quiet = p, now, false
		return false
	}
	if !a.quiet {
		a.quiet, a.queued = true, c.inQueues()
	}
	if now.Sub(a.moved) < c.idleTimeout(l.idle) {
		return false
	}
	// A slow reader moves bytes out of the kernel's queues long before there is
	// room for the next burst.
	if c.inQueues() != a.queued {
		a.moved, a.quiet = now, false
		return false
	}
	return true
}

// len returns how many connections there are.
func (l *liveSet) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.members)
}

// all returns the connections that match.
func (l *liveSet) all(match func(connection) bool) []connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []connection
	for c := range l.members {
		if match(c) {
			all = append(all, c)
		}
	}
	return all
}

// cut cuts the connections that match and returns how many there were.
func (l *liveSet) cut(match func(connection) bool, cause error) int {
	all := l.all(match)
	var cuts sync.WaitGroup // side by side: some ends take a moment
	for _, c := range all {
		cuts.Go(func() { c.flow().Cut(cause) })
	}
	cuts.Wait()
	return len(all)
}

// drain refuses what is new and waits until what runs has ended, or until the
// context of streams ends; then it cuts the rest and returns how many there were.
// Associations are cut when the context of associations ends: they have no end
// of their own that is worth a wait.
func (l *liveSet) drain(associations, streams context.Context) int {
	l.mu.Lock()
	l.draining = true
	if len(l.members) == 0 {
		l.mu.Unlock()
		return 0
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.mu.Unlock()
	defer context.AfterFunc(associations, func() {
		l.cut(func(c connection) bool { return c.network() == core.UDP }, core.ErrShutdown)
	})()
	select {
	case <-empty:
		return 0
	case <-streams.Done():
	}
	n := l.cut(func(connection) bool { return true }, core.ErrShutdown)
	<-empty
	return n
}
