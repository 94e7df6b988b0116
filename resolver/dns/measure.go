package dns

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// counts are what a resolver counts. They are kept over a reload.
type counts struct {
	hits atomic.Uint64 // lookups that the cache answered

	mu      sync.Mutex
	servers map[string]*dial.Queries // of the servers of the file that was loaded last; guarded by mu
}

// adopt takes over the counts of servers that the resolver had before.
func (r *Resolver) adopt(old *counts) *counts {
	if old == nil {
		old = new(counts)
	}
	r.counts = old
	old.mu.Lock()
	defer old.mu.Unlock()
	servers := map[string]*dial.Queries{}
	for _, u := range r.upstreams {
		if u.queries = old.servers[u.name]; u.queries == nil {
			u.queries = dial.NewQueries()
		}
		servers[u.name] = u.queries
	}
	old.servers = servers
	return old
}

var _ core.Measurer = (*Resolver)(nil)

// Measure implements core.Measurer.
func (r *Resolver) Measure(yield func(core.Figure)) {
	yield(metrics.Value(metrics.ResolverCacheHits, float64(r.counts.hits.Load()), r.name))
	for _, u := range r.upstreams {
		u.queries.Measure(yield, r.name, u.name)
	}
}

// resultOf returns how a query ended. calledOff says that another server was faster, or that
// nobody waits any more.
func resultOf(a answer, err error, calledOff bool) dial.Result {
	switch {
	case err == nil && a.status == missing:
		return dial.ResultMissing
	case err == nil:
		return dial.ResultOK
	case errors.Is(err, errServer), errors.Is(err, errLame):
		return dial.ResultError
	case calledOff:
		return dial.ResultCancelled
	case errors.Is(err, context.DeadlineExceeded):
		return dial.ResultTimeout
	}
	return dial.ResultFailed
}
