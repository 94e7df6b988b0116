package pipeline

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
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
	// lasts does what is to be done about a connection that has come as far as a
	// sweep. It is called at every sweep, with no lock held.
	lasts()
	// activity returns what the sweep remembers of the connection.
	activity() *activity
	// user returns the name of its user, "" without one.
	user() string
	// id returns the number of its request, 0 without one.
	id() uint64
	// snapshot tells of the connection.
	snapshot() Connection
}

// liveSet is what a pipeline serves at a time: streams and associations. It cuts
// those that are idle.
type liveSet struct {
	idle   time.Duration  // without progress, after which a connection is cut
	budget *budget.Budget // nil for none
	users  func() bool    // whether users are counted apart; nil for no

	mu           sync.Mutex
	streams      map[connection]struct{} // guarded by mu, as all that follows
	associations map[connection]struct{}
	draining     bool           // no more are taken
	empty        chan struct{}  // closed when both are empty, if someone waits
	timer        *time.Timer    // of the next sweep; nil while both are empty
	next         time.Time      // when that is
	sweeping     bool           // a sweep is under way, and sets the next one at its end
	streamsDue   time.Time      // when the streams are swept next
	gone         Totals         // of connections that have left
	through      map[string]Sum // gone by the branch that was chosen
}

// activity is what the sweep remembers of a connection. After the connection has
// entered the set, the sweep alone uses it.
type activity struct {
	progress int64
	moved    time.Time // when the connection entered, or progress was seen
	quiet    bool      // there was none at the last sweep
	queued   int       // bytes in the kernel's queues when it grew quiet
}

func newLiveSet(idle time.Duration, b *budget.Budget) *liveSet {
	return &liveSet{idle: idle, budget: b, streams: map[connection]struct{}{}, associations: map[connection]struct{}{}}
}

// of returns the part of the set that c belongs to.
func (l *liveSet) of(c connection) map[connection]struct{} {
	if c.network() == core.UDP {
		return l.associations
	}
	return l.streams
}

// enter takes a connection in and calls live, if that is not nil. It returns an
// ErrShutdown while draining, and an ErrCrowded if the process has no room left.
func (l *liveSet) enter(c connection, live func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return core.ErrShutdown
	}
	if !l.budget.Serve(c.network()) {
		return core.ErrCrowded // its handshake keeps its place until its end
	}
	if live != nil {
		live()
	}
	l.budget.Settle()
	now := time.Now()
	*c.activity() = activity{progress: c.progress(), moved: now}
	if len(l.streams) == 0 {
		l.streamsDue = now.Add(l.streamInterval())
	}
	l.of(c)[c] = struct{}{}
	l.schedule(now)
	return nil
}

// leave takes a connection out.
func (l *liveSet) leave(c connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget.Release(c.network())
	delete(l.of(c), c)
	l.add(c)
	if l.size() > 0 || l.timer == nil {
		return
	}
	l.timer.Stop()
	l.timer = nil
	if l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// size returns how many connections there are. mu is held.
func (l *liveSet) size() int { return len(l.streams) + len(l.associations) }

func (l *liveSet) streamInterval() time.Duration { return min(l.idle/sweepsPerIdle, streamSweep) }

// schedule makes the next sweep come in time. mu is held.
func (l *liveSet) schedule(now time.Time) {
	next := l.streamsDue
	if len(l.associations) > 0 {
		if at := now.Add(min(l.idle/sweepsPerIdle, associationSweep)); len(l.streams) == 0 || at.Before(next) {
			next = at
		}
	}
	switch {
	case l.sweeping:
		return
	case l.timer == nil:
		l.timer = time.AfterFunc(next.Sub(now), l.sweep)
	case l.next.After(now) && !next.Before(l.next): // it comes soon enough
		return
	default:
		l.timer.Reset(next.Sub(now))
	}
	l.next = next
}

// sweep cuts the connections without progress for their idle timeout. Counters
// that are read now and then cost a moving stream nothing, where a deadline for each
// read would. The set is locked only while it is copied: new connections, and the
// datagrams behind them, do not wait for a sweep of many.
func (l *liveSet) sweep() {
	now := time.Now()
	due, ok := l.beginSweep(now)
	if !ok {
		return
	}
	for _, c := range due {
		c.lasts()
		if l.isIdle(c, now) {
			c.flow().Cut(core.ErrIdle)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweeping = false
	if l.size() > 0 {
		l.schedule(time.Now())
	}
}

// beginSweep returns the connections that are due. It reports false if a sweep is
// under way.
func (l *liveSet) beginSweep(now time.Time) (due []connection, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sweeping {
		return nil, false
	}
	l.sweeping = true
	due = slices.Collect(maps.Keys(l.associations))
	if !now.Before(l.streamsDue) {
		l.streamsDue = now.Add(l.streamInterval())
		due = slices.AppendSeq(due, maps.Keys(l.streams))
	}
	return due, true
}

// isIdle notes what a connection has done since the last sweep and reports whether
// it has been idle for too long. The sweep alone calls it.
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
	return l.size()
}

// all returns the connections that match.
func (l *liveSet) all(match func(connection) bool) []connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []connection
	for _, part := range []map[connection]struct{}{l.streams, l.associations} {
		for c := range part {
			if match(c) {
				all = append(all, c)
			}
		}
	}
	return all
}
