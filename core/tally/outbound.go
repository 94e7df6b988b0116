package tally

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// Outbound is what is counted for an outbound.
type Outbound struct {
	results counters
	took    histogram

	worked atomic.Int64 // when a dial worked last, in Unix nanoseconds
	mu     sync.Mutex
	failed Failure // guarded by mu; the last one
}

// Failure is the last failure of an outbound.
type Failure struct {
	At       time.Time // the zero Time if there was none
	Err      string
	AtTarget bool // the outbound works, and the target failed
	Since    bool // no dial has worked since
}

// Outbound returns what is counted for the outbound with an ID, such as "outbound.paris".
func (t *Tally) Outbound(id string) *Outbound { return t.outbounds.get(id) }

// Dialled counts a dial that began at a time and has ended.
func (o *Outbound) Dialled(began time.Time, err error) {
	now := time.Now()
	if err == nil {
		o.results.get(OK).Add(1)
		o.took.in(metrics.Short).ObserveTime(now.Sub(began))
		o.worked.Store(now.UnixNano())
		return
	}
	reason := core.ReasonOf(err)
	if errors.Is(err, context.Canceled) { // the client has left
		reason = "gone"
	}
	o.results.get(reason).Add(1)
	switch reason {
	case "gone", "shutdown", "denied": // it is not the outbound that failed
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = Failure{At: now, Err: err.Error(), AtTarget: core.IsAtTarget(err)}
}

// LastFailure returns the last failure of a dial.
func (o *Outbound) LastFailure() Failure {
	o.mu.Lock()
	f := o.failed
	o.mu.Unlock()
	f.Since = !f.At.IsZero() && f.At.UnixNano() >= o.worked.Load()
	return f
}

// Results returns how many dials there were, by result.
func (o *Outbound) Results() map[string]uint64 {
	all := map[string]uint64{}
	o.results.each(func(result string, n *counter) { all[result] = n.Load() })
	return all
}

func (o *Outbound) measure(id string, yield func(core.Figure)) {
	name := strings.TrimPrefix(id, string(core.SectionOutbound)+".")
	o.results.each(func(result string, n *counter) { count(yield, metrics.Dials, n.Load(), name, result) })
	o.took.yield(yield, metrics.DialSeconds, name)
}
