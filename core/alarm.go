package core

import (
	"sync"
	"time"
)

// alarmEvery is the interval between two lines of one Alarm.
const alarmEvery = time.Minute

// Alarm counts what happens often and is logged rarely: the first time at once, then
// once a minute with the number since the last line. The zero Alarm is ready.
type Alarm struct {
	mu    sync.Mutex
	said  time.Time // guarded by mu, as is count
	count int
}

// Count counts one and reports whether it is time for a line, for all that were counted
// since the last line.
func (a *Alarm) Count(now time.Time) (count int, say bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	if !a.said.IsZero() && now.Sub(a.said) < alarmEvery {
		return a.count, false
	}
	count, a.count, a.said = a.count, 0, now
	return count, true
}
