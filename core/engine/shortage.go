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
	s := &shortages{log: e.log, limits: l, budget: budget.Of(e.process), counts: map[budget.Resource]int{}}
	s.budget.Set(l, s.note)
}

// shortages logs that connections are refused or ended for lack of a resource: the first
// one at once, then once in a period how many more.
type shortages struct {
	log    *slog.Logger
	limits budget.Limits
	budget *budget.Budget

	mu     sync.Mutex
	counts map[budget.Resource]int // in this period; guarded by mu
}

// note counts one connection. It is called with a lock of the budget held, so it does not
// log by itself.
func (s *shortages) note(r budget.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[r]++
	if s.counts[r] == 1 {
		go s.write(r, "connections are refused or ended early: the process is out of "+string(r), slog.String("mend", mends[r]))
		time.AfterFunc(shortagePeriod, func() { s.review(r) })
	}
}

// review ends a period.
func (s *shortages) review(r budget.Resource) {
	s.mu.Lock()
	more := s.counts[r] - 1
	s.counts[r] = 0
	if more > 0 {
		s.counts[r] = 1 // so that no line comes before the next review
		time.AfterFunc(shortagePeriod, func() { s.review(r) })
	}
	s.mu.Unlock()
	if more > 0 {
		s.write(r, "the process was out of "+string(r)+" again", slog.Int("connections", more))
	}
}

func (s *shortages) write(r budget.Resource, what string, attr slog.Attr) {
	streams, associations := s.budget.Served()
	limit := int64(s.limits.Descriptors)
	if r == budget.Memory {
		limit = s.limits.Memory
	}
	s.log.Warn(what, slog.Int64("limit", limit), slog.Int("streams", streams), slog.Int("associations", associations), attr)
}
