package dns

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// wire carries a question to one server.
type wire interface {
	// exchange returns the reply, whatever it says; a message that does not answer
	// the question is none.
	exchange(ctx context.Context, q question) (reply, error)
	close()
}

const (
	firstRest = 2 * time.Second  // of a server that failed once
	longRest  = 60 * time.Second // of one that goes on failing
)

// upstream is one server, and how it has been.
type upstream struct {
	name string // as in the file
	wire wire

	mu       sync.Mutex
	failures int       // in a row; guarded by mu, as what follows
	until    time.Time // others go before it until then
}

// ask asks the server. An error says that it gave no answer that can be used.
func (u *upstream) ask(ctx context.Context, q question) (answer, error) {
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

// failed lets the server rest, each time twice as long.
func (u *upstream) failed() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.until = time.Now().Add(min(firstRest<<min(u.failures, 10), longRest))
	u.failures++
}

// silent lets a server rest on that had failed and kept somebody waiting again,
// even if that one had an answer from elsewhere.
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

// health returns how many times in a row the server failed, and until when others
// go before it.
func (u *upstream) health() (failures int, until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failures, u.until
}
