package inbound

import (
	"net/netip"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
)

// Quota counts the sessions of clients, in all and for each client. It is for kinds that
// refuse a new session over a bound, rather than evict an old one.
type Quota struct{ *holdings }

// holdings are the counts of a Quota. The process keeps them over a reload.
type holdings struct {
	mu        sync.Mutex
	most      int // guarded by mu, as all that follows
	perClient int
	all       int
	clients   map[netip.Prefix]int
}

// KeepQuota returns the quota of sessions of an inbound with the options o. It may be
// used once the inbound's file is served. Sessions of earlier generations count.
func KeepQuota(env core.Env, o Options) *Quota {
	q := new(Quota)
	core.Keep(env, func(old *holdings) *holdings {
		if old == nil {
			old = &holdings{clients: map[netip.Prefix]int{}}
		}
		old.bound(budget.Of(env.Process).Sessions(o.MaxSessions), o.ClientSessions)
		q.holdings = old
		return old
	})
	return q
}

func (q *holdings) bound(most, perClient int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.most, q.perClient = most, perClient
}

// Take counts one more session of a client. Over a bound it counts nothing and returns
// false. Clients on this machine have no bound per client.
func (q *holdings) Take(client netip.Addr) bool {
	source := core.SourceOf(client)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.all >= q.most || !client.IsLoopback() && q.clients[source] >= q.perClient {
		return false
	}
	q.all++
	q.clients[source]++
	return true
}

// Give reverts one Take.
func (q *holdings) Give(client netip.Addr) {
	source := core.SourceOf(client)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all--
	if q.clients[source]--; q.clients[source] == 0 {
		delete(q.clients, source)
	}
}
