package inbound

import (
	"net/netip"
	"sync"
	"time"
)

// throttle bounds how often a line is logged, so that a flood of bad
// connections does not become a flood of lines. The zero throttle is ready.
type throttle struct {
	mu      sync.Mutex
	began   time.Time
	passed  int
	dropped int
}

// allow reports whether one more of at most n lines in a period may be logged,
// and how many were not since the last that was.
func (t *throttle) allow(n int, period time.Duration) (dropped int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.began) >= period {
		t.began, t.passed = now, 0
	}
	if t.passed >= n {
		t.dropped++
		return 0, false
	}
	t.passed++
	dropped, t.dropped = t.dropped, 0
	return dropped, true
}

// maxThrottled bounds the sources that throttles remember.
const maxThrottled = 1024

// throttles is a throttle for each source, with a bound on them all: nobody's
// flood of lines takes those of others away. The zero throttles are ready.
type throttles struct {
	mu       sync.Mutex
	began    time.Time // guarded by mu, as all that follows
	passed   int       // in this period, of all
	dropped  int       // of sources that are not remembered
	bySource map[netip.Prefix]*throttled
}

// throttled is one source.
type throttled struct{ passed, dropped int }

// allow reports whether one more line about source may be logged, of at most n in
// a period, and most about all sources. dropped is how many were not since the
// last of this source; it includes those of sources that are forgotten.
func (t *throttles) allow(source netip.Prefix, n, most int, period time.Duration) (dropped int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.began) >= period {
		t.began = now
		t.renew()
	}
	s := t.bySource[source]
	switch {
	case s == nil && t.passed >= most:
		t.dropped++
		return 0, false
	case s == nil:
		s = t.add(source)
	}
	if s.passed >= n || t.passed >= most {
		s.dropped++
		return 0, false
	}
	s.passed++
	t.passed++
	dropped = s.dropped + t.dropped
	s.dropped, t.dropped = 0, 0
	return dropped, true
}

// renew begins a period. Who has nothing to tell is forgotten.
func (t *throttles) renew() {
	t.passed = 0
	for source, s := range t.bySource {
		if s.passed = 0; s.dropped == 0 {
			delete(t.bySource, source)
		}
	}
}

// add makes room for a source and returns it.
func (t *throttles) add(source netip.Prefix) *throttled {
	if t.bySource == nil {
		t.bySource = map[netip.Prefix]*throttled{}
	}
	for old, s := range t.bySource {
		if len(t.bySource) < maxThrottled {
			break
		}
		t.dropped += s.dropped
		delete(t.bySource, old)
	}
	s := new(throttled)
	t.bySource[source] = s
	return s
}
