package dns

import (
	"context"
	"fmt"
	"sync"
	"time"
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

	mu       sync.Mutex
	failures int       // in a row; guarded by mu, as what follows
	until    time.Time // until then other servers are queried first
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
func (u *upstream) failed() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.until = time.Now().Add(min(firstRest<<min(u.failures, 10), longRest))
	u.failures++
}

// silent extends the rest of a server that had failed and has delayed a query again,
// even if another server has answered that query.
func (u *upstream) silent() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now := time.Now(); u.failures > 0 && now.After(u.until) {
		u.until = now.Add(min(firstRest<<min(u.failures-1, 10), longRest))
	}
}

func (u *upstream) answered() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.failures, u.until = 0, time.Time{}
}

// health returns the number of consecutive failures, and the time until which other
// servers are queried first.
func (u *upstream) health() (failures int, until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failures, u.until
}
