package limit

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// shaper keeps bytes that go one way to a bandwidth. Bursts have been moved when it
// hears of them, so it says for how long a flow must wait then.
//
// All that was moved over the bandwidth is a debt, which passes with time. A flow
// waits until the debt is paid, but no longer than is fair: as long as its own burst
// takes at an equal share of the bandwidth. So one that sends little waits little
// beside others that send all they can. A flow that ends before its wait does counts
// among those that share until then. So the debt stays in proportion to the bursts of
// those that wait, and over time the bandwidth is kept to exactly.
type shaper struct {
	on atomic.Bool // has a bandwidth

	mu      sync.Mutex
	limiter *rate.Limiter // guarded by mu, as is the rest
	busy    []*share      // have waited lately
	counted time.Time     // when those that wait no more were taken out of busy
}

// share is what a shaper knows of a flow.
type share struct {
	until time.Time // when its wait ends
	busy  bool      // it is among those that have waited lately
}

const (
	// burstTime is for how long at full bandwidth bytes go without a wait after a
	// pause, and leastBurst how many do at least.
	burstTime  = 100 * time.Millisecond
	leastBurst = 16 << 10
	// countEvery is how often it is looked which flows wait.
	countEvery = 5 * time.Millisecond
)

// set sets the bandwidth; 0 is none.
func (s *shaper) set(limit Size, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on.Store(limit > 0)
	if limit == 0 {
		s.limiter, s.busy = nil, nil
		return
	}
	burst := max(leastBurst, int(min(limit/Size(time.Second/burstTime), math.MaxInt32)))
	switch {
	case s.limiter == nil:
		s.limiter = rate.NewLimiter(rate.Limit(limit), burst)
	case s.limiter.Limit() != rate.Limit(limit):
		s.limiter.SetLimitAt(now, rate.Limit(limit))
		s.limiter.SetBurstAt(now, burst)
	}
}

// take counts n bytes of a flow and returns for how long it must wait.
func (s *shaper) take(of *share, n int, now time.Time) time.Duration {
	if n == 0 || !s.on.Load() {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limiter == nil {
		return 0
	}
	debt := s.owe(n, now)
	if debt <= 0 {
		return 0
	}
	s.count(now)
	if !of.busy {
		of.busy = true
		s.busy = append(s.busy, of)
	}
	wait := min(debt, s.lasts(float64(n)*float64(len(s.busy))))
	of.until = now.Add(wait)
	return wait
}

// owe takes n bytes from the limiter and returns for how long they are more than it
// had. mu is held.
func (s *shaper) owe(n int, now time.Time) time.Duration {
	for most := s.limiter.Burst(); n > most; n -= most {
		s.limiter.ReserveN(now, most)
	}
	r := s.limiter.ReserveN(now, n)
	return r.DelayFrom(now)
}

// lasts returns how long n bytes take.
func (s *shaper) lasts(n float64) time.Duration {
	return time.Duration(n / float64(s.limiter.Limit()) * float64(time.Second))
}

// count takes the flows that wait no more out of busy, now and then. mu is held.
func (s *shaper) count(now time.Time) {
	if now.Sub(s.counted) < countEvery {
		return
	}
	s.counted = now
	kept := s.busy[:0]
	for _, other := range s.busy {
		if other.busy = now.Sub(other.until) < countEvery; other.busy {
			kept = append(kept, other)
		}
	}
	clear(s.busy[len(kept):])
	s.busy = kept
}
