package inbound

import (
	"net/netip"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Quota counts what clients hold, in all and for each client. It is for what is
// refused over a bound, rather than driven out.
type Quota struct{ *holdings }

// holdings is what is counted. It belongs to the process, so that it outlives a reload.
type holdings struct {
	mu        sync.Mutex
	most      int // guarded by mu, as all that follows
	perClient int
	all       int
	clients   map[netip.Prefix]int
}

// KeepQuota returns the quota of sessions that o gives an inbound. It counts once the
// file of the inbound is served; what an earlier generation has handed out counts.
func KeepQuota(env core.Env, o Options) *Quota {
	q := new(Quota)
	core.Keep(env, func(old *holdings) *holdings {
		if old == nil {
			old = &holdings{clients: map[netip.Prefix]int{}}
		}
		old.bound(min(o.MaxSessions, netio.DescriptorShare()), o.ClientSessions)
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

// Take counts one more for a client; it reports false, and counts nothing, over
// a bound. Programs on this machine have no bound of their own.
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

// Give takes back what Take counted.
func (q *holdings) Give(client netip.Addr) {
	source := core.SourceOf(client)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all--
	if q.clients[source]--; q.clients[source] == 0 {
		delete(q.clients, source)
	}
}
