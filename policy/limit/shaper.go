package limit

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
	"golang.org/x/time/rate"
)

// shaper limits the bytes in one direction to a bandwidth. A burst is counted after
// it has been moved; take returns how long its flow must wait afterwards.
//
// The bytes moved beyond the bandwidth are a debt, which decreases with time. A flow
// waits until the debt is paid, but at most for the time that its own burst takes at
// an equal share of the bandwidth. So a flow with little traffic waits briefly beside
// flows that send at full speed. A flow that ends during its wait counts as sharing
// the bandwidth until the wait would have ended. So the debt stays proportional to the
// bursts of the waiting flows, and over time the bandwidth is enforced exactly.
type shaper struct {
	on atomic.Bool // a bandwidth is set

	mu      sync.Mutex
	limiter *rate.Limiter // guarded by mu, as is the rest
	busy    []*share      // shares of the flows that wait or waited recently
	counted time.Time     // when finished waits were last removed from busy
}

// share is the state of one flow in a shaper.
type share struct {
	until time.Time // end of the wait
	busy  bool      // the share is in shaper.busy
}

const (
	// burstTime is the time at full bandwidth whose bytes need no wait after a pause;
	// leastBurst is the minimum of these bytes.
	burstTime  = 100 * time.Millisecond
	leastBurst = 16 << 10
	// countEvery is the interval between removals of finished waits from busy.
	countEvery = 5 * time.Millisecond
)

// set sets the bandwidth; 0 means no limit.
func (s *shaper) set(limit option.Size, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on.Store(limit > 0)
	if limit == 0 {
		s.limiter, s.busy = nil, nil
		return
	}
	burst := max(leastBurst, int(min(limit/option.Size(time.Second/burstTime), math.MaxInt32)))
	switch {
	case s.limiter == nil:
		s.limiter = rate.NewLimiter(rate.Limit(limit), burst)
	case s.limiter.Limit() != rate.Limit(limit):
		s.limiter.SetLimitAt(now, rate.Limit(limit))
		s.limiter.SetBurstAt(now, burst)
	}
}

// take counts n bytes of a flow and returns how long the flow must wait.
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

// owe takes n bytes from the limiter and returns the time until the limiter has
// recovered the bytes taken beyond its burst. mu is held.
func (s *shaper) owe(n int, now time.Time) time.Duration {
	for most := s.limiter.Burst(); n > most; n -= most {
		s.limiter.ReserveN(now, most)
	}
	r := s.limiter.ReserveN(now, n)
	return r.DelayFrom(now)
}

// lasts returns how long n bytes take at the full bandwidth.
func (s *shaper) lasts(n float64) time.Duration {
	return time.Duration(n / float64(s.limiter.Limit()) * float64(time.Second))
}

// count removes finished waits from busy, at most once every countEvery. mu is held.
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
