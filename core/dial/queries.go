package dial

import (
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// Result is how a query to a name server ended.
type Result uint8

// The results of queries.
const (
	ResultOK        Result = iota // the name exists
	ResultMissing                 // the name does not exist
	ResultError                   // the server answered with an error, or refers to others
	ResultTimeout                 // no answer in time
	ResultFailed                  // the server could not be reached, or its answer made no sense
	ResultCancelled               // another server was faster, or nobody waits any more
	results                       // the number of results
)

var resultNames = [results]string{"ok", "missing", "error", "timeout", "failed", "cancelled"}

// String returns the result as in the figures.
func (r Result) String() string { return resultNames[r] }

// answered reports whether the server has answered.
func (r Result) answered() bool { return r <= ResultError }

// Queries counts those to one name server. They may be counted from any goroutine.
type Queries struct {
	by   [results]atomic.Uint64
	took *metrics.Histogram
}

// NewQueries returns counts of no query.
func NewQueries() *Queries { return &Queries{took: metrics.NewHistogram(metrics.Short())} }

// Count counts a query.
func (q *Queries) Count(r Result, took time.Duration) {
	q.by[r].Add(1)
	if r.answered() {
		q.took.ObserveTime(took)
	}
}

// Measure passes on the figures of a resolver's server.
func (q *Queries) Measure(yield func(core.Figure), resolver, server string) {
	for r := range q.by {
		yield(metrics.Value(metrics.ResolverQueries, float64(q.by[r].Load()), resolver, server, resultNames[r]))
	}
	yield(q.took.Figure(metrics.ResolverSeconds, resolver, server))
}
