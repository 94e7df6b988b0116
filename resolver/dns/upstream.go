package dns

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core/dial"
)

// wire carries a question to one server.
type wire interface {
	// exchange returns the reply to the question, with any response code. Messages
	// that do not match the question are ignored.
	exchange(ctx context.Context, q question) (reply, error)
	close()
}

const (
	firstRest = 2 * time.Second  // after the first failure of a server
	longRest  = 60 * time.Second // the maximum after repeated failures
)

// upstream is one server, with its health.
type upstream struct {
	name string // as in the configuration
	wire wire

	queries *dial.Queries // belong to the process; nil until served

	mu        sync.Mutex
	four, six health // of queries for IPv4 and for IPv6; guarded by mu
}

// health is how a server answers the queries for one family: some servers drop those
// for one and answer those for the other.
type health struct {
	failures int       // in a row
	until    time.Time // until then other servers are queried first
}

// of returns the health for a type of query. mu is held.
func (u *upstream) of(kind uint16) *health {
	if kind == dns.TypeAAAA {
		return &u.six
	}
	return &u.four
}

// query queries the server. It returns an error if there is no usable answer.
func (u *upstream) query(ctx context.Context, q question) (answer, error) {
	r, err := u.wire.exchange(ctx, q)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", u.name, err)
	}
	a, err := r.read(q)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", u.name, err)
	}
	return a, nil
}

// failed starts a rest of the server, each time twice as long.
func (u *upstream) failed(kind uint16) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h := u.of(kind)
	h.until = time.Now().Add(min(firstRest<<min(h.failures, 10), longRest))
	h.failures++
}

// silent extends the rest of a server that had failed and has delayed a query again,
// even if another server has answered that query.
func (u *upstream) silent(kind uint16) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h := u.of(kind)
	if now := time.Now(); h.failures > 0 && now.After(h.until) {
		h.until = now.Add(min(firstRest<<min(h.failures-1, 10), longRest))
	}
}

func (u *upstream) answered(kind uint16) {
	u.mu.Lock()
	defer u.mu.Unlock()
	*u.of(kind) = health{}
}

// health returns the number of consecutive failures, and the time until which other
// servers are queried first.
func (u *upstream) health(kind uint16) (failures int, until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h := u.of(kind)
	return h.failures, h.until
}
