package group

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// silentAfter is how long a connection must have waited for a first answer to say something
// of the member: clients give requests up sooner for reasons of their own.
const silentAfter = 5 * time.Second

// maxWatched is the number of streams of a member that are watched at once. Those beyond say
// what they have to say when they end.
const maxWatched = 16

// watched are streams through a member whose first answer is waited for. A client that has
// given up closes its connection in order, and the stream may stay for long after that.
type watched struct {
	full atomic.Bool
	due  atomic.Int64 // when the first of them has waited for silentAfter, in Unix nanoseconds; 0 for none

	mu      sync.Mutex
	streams []watch // guarded by mu
}

// watch is one stream.
type watch struct {
	flow   *core.Flow
	target core.Addr
	began  time.Time
}

// add begins to watch a stream, if there is room, and reports whether there was.
func (w *watched) add(s watch) bool {
	if w.full.Load() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.streams) == maxWatched {
		return false
	}
	w.streams = append(w.streams, s)
	w.note()
	return true
}

// remove ends the watch of a stream.
func (w *watched) remove(f *core.Flow) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.streams {
		if s.flow == f {
			last := len(w.streams) - 1
			w.streams[i], w.streams[last] = w.streams[last], watch{}
			w.streams = w.streams[:last]
			w.note()
			return
		}
	}
}

// note sets what is read without the lock. mu is held.
func (w *watched) note() {
	w.full.Store(len(w.streams) == maxWatched)
	var first int64
	for _, s := range w.streams {
		if at := s.began.Add(silentAfter).UnixNano(); first == 0 || at < first {
			first = at
		}
	}
	w.due.Store(first)
}

// take ends the watch of all streams that have an answer or have waited for long, and returns
// them.
func (w *watched) take(now time.Time) (answered, silent []watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.streams[:0]
	for _, s := range w.streams {
		switch {
		case s.flow.Down.Load() > 0:
			answered = append(answered, s)
		case now.Sub(s.began) < silentAfter:
			kept = append(kept, s)
		case s.flow.Up.Load() > 0:
			silent = append(silent, s)
		}
	}
	clear(w.streams[len(kept):])
	w.streams = kept
	w.note()
	return answered, silent
}

// look looks at the streams through m that are watched, if one is due.
func (g *Group) look(m *Member, now time.Time) {
	h := m.health
	if due := h.watched.due.Load(); due == 0 || now.UnixNano() < due {
		return
	}
	answered, silent := h.watched.take(now)
	for _, s := range answered {
		h.hear(s.began)
	}
	for _, s := range silent {
		g.told(m, h.keepSilent(now, s.began, s.target, g.options.Fall, g.options.Rest.Std()))
	}
}
