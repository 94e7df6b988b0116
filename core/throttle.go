package core

import (
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
