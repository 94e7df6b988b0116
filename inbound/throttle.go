package inbound

import (
	"net/netip"
	"sync"
	"time"
)

// throttle bounds how often a line is logged, so that a flood of invalid connections does
// not become a flood of log lines. The zero throttle is ready.
type throttle struct {
	mu      sync.Mutex
	began   time.Time
	passed  int
	dropped int
}

// allow reports whether one more line may be logged, of at most n in a period. dropped is
// the number of lines that were suppressed since the last logged line.
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

// maxThrottled bounds the sources in throttles.
const maxThrottled = 1024

// throttles is a throttle for each source, with a bound on all sources together: a flood
// of lines about one source does not suppress lines about other sources. The zero
// throttles are ready.
type throttles struct {
	mu       sync.Mutex
	began    time.Time // guarded by mu, as all that follows
	passed   int       // lines of all sources in this period
	dropped  int       // suppressed lines of sources that are not in bySource
	bySource map[netip.Prefix]*throttled
}

// throttled are the counts of one source.
type throttled struct{ passed, dropped int }

// allow reports whether one more line about source may be logged, of at most n in a
// period about this source, and most about all sources. dropped is the number of lines
// that were suppressed since the last line about source; it includes lines of sources
// that were evicted.
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

// renew begins a period. It removes sources without suppressed lines.
func (t *throttles) renew() {
	t.passed = 0
	for source, s := range t.bySource {
		if s.passed = 0; s.dropped == 0 {
			delete(t.bySource, source)
		}
	}
}

// add adds a source, evicts others over maxThrottled, and returns the counts of source.
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
