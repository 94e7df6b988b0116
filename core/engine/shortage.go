package engine

import (
	"log/slog"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core/budget"
)

// shortagePeriod is the time between two lines about one resource.
const shortagePeriod = time.Minute

// mends are what to do about a shortage.
var mends = map[budget.Resource]string{
	budget.Descriptors: "raise the limit of open files (ulimit -n, LimitNOFILE= of systemd)",
	budget.Memory:      "raise [process] memory, or the memory of the machine or control group",
}

// Bound sets the limits of the process, which all connections share. It is called before
// Start, and again when a limit changes.
func (e *Engine) Bound(l budget.Limits) {
	budget.Of(e.process).Set(l, e.shortages.note)
	e.shortages.setLimits(l)
}

// shortages logs that connections are refused or ended for lack of a resource: the first
// one at once, then once in a period how many more.
type shortages struct {
	log *slog.Logger

	mu     sync.Mutex
	limits budget.Limits // guarded by mu, as all that follows
	kinds  map[budget.Resource]*shortage
	closed bool
}

// shortage is a resource of which a line was logged within the last period.
type shortage struct {
	more  int // connections since that line
	last  budget.Shortage
	timer *time.Timer
}

func newShortages(log *slog.Logger) *shortages {
	return &shortages{log: log, kinds: map[budget.Resource]*shortage{}}
}

func (s *shortages) setLimits(l budget.Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
}

// note counts one connection.
func (s *shortages) note(of budget.Shortage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[of.Of]; k != nil {
		k.more++
		k.last = of
		return
	}
	if s.closed {
		return
	}
	k := new(shortage)
	k.timer = time.AfterFunc(shortagePeriod, func() { s.review(of.Of, k) })
	s.kinds[of.Of] = k
	s.write(of, "connections are refused or ended early: the process is out of "+string(of.Of), slog.String("mend", mends[of.Of]))
}

// review ends a period.
func (s *shortages) review(r budget.Resource, k *shortage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
	case k.more == 0:
		delete(s.kinds, r)
	default:
		s.write(k.last, "the process was out of "+string(r)+" again", slog.Int("connections", k.more))
		k.more = 0
		k.timer.Reset(shortagePeriod)
	}
}

// write logs a line. mu is held.
func (s *shortages) write(of budget.Shortage, what string, attr slog.Attr) {
	limit := int64(s.limits.Descriptors)
	if of.Of == budget.Memory {
		limit = s.limits.Memory
	}
	s.log.Warn(what, slog.Int64("limit", limit), slog.Int("streams", of.Streams), slog.Int("associations", of.Associations), attr)
}

// close ends the reports.
func (s *shortages) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, k := range s.kinds {
		k.timer.Stop()
	}
}
