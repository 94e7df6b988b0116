package dns

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Strategy is the order in which servers are queried: "failover", "race" or "spread".
type Strategy string

// Values returns the three strategies.
func (Strategy) Values() []string { return []string{"failover", "race", "spread"} }

// UnmarshalText reads one of the strategies.
func (s *Strategy) UnmarshalText(text []byte) error { return option.ReadWord(s, text, s.Values()) }

// hedgeDelay is the time after which the next server is queried too, if the current
// server has failed recently.
const hedgeDelay = 250 * time.Millisecond

// maxRounds is how often one question is sent to each server.
const maxRounds = 2

// group is a list of servers for the same names.
type group struct {
	servers  []*upstream
	strategy Strategy
	timeout  time.Duration   // of one try
	running  *sync.WaitGroup // all goroutines
	turn     atomic.Uint32   // rotates the servers for spread
}

// attempt is the result of one try.
type attempt struct {
	answer
	from   string
	number int // of the try
	err    error
}

// query queries the servers in the order of the strategy, the next one as soon as one
// has failed or takes too long, and returns the first answer. The answer of an earlier,
// slow server still counts.
func (g *group) query(ctx context.Context, q question) (answer, string, error) {
	order := g.order(time.Now(), q.kind)
	var failed []error
	if u := order[0]; g.patience(u, q.kind) == g.timeout { // no other server is queried concurrently, so no goroutine is needed
		r := g.try(ctx, u, q, 0)
		if r.err == nil {
			return r.answer, r.from, nil
		}
		failed = append(failed, r.err)
	}
	return g.queryMore(ctx, q, order, failed)
}

// queryMore is query after the first server has failed, or before any server was
// queried.
func (g *group) queryMore(ctx context.Context, q question, order []*upstream, failed []error) (answer, string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt, maxRounds*len(order)) // room for all
	timer := time.NewTimer(0)
	defer timer.Stop()
	for begun, running := len(failed), 0; ; {
		next := timer.C
		if !more(begun, running, len(order), failed) {
			if next = nil; running == 0 {
				return answer{}, "", errors.Join(failed...)
			}
		}
		select {
		case <-ctx.Done():
			return answer{}, "", errors.Join(append(failed, ctx.Err())...)
		case <-next:
			u, number := order[begun%len(order)], begun
			g.running.Go(func() { results <- g.try(ctx, u, q, number) })
			begun++
			running++
			timer.Reset(g.patience(u, q.kind))
		case r := <-results:
			running--
			if r.err == nil {
				return r.answer, r.from, nil
			}
			failed = append(failed, r.err)
			if r.number == begun-1 || running == 0 { // else the next server has been queried already
				timer.Reset(0)
			}
		}
	}
}

// more reports whether another server is queried after begun tries. If all servers
// have failed they are queried again, unless all failures are final.
func more(begun, running, servers int, failed []error) bool {
	return begun < servers || running == 0 && begun < maxRounds*servers && !settled(failed)
}

// settled reports whether all failures are final: the servers answered, with an error
// code or a referral, so another query would have the same result.
func settled(failed []error) bool {
	return !slices.ContainsFunc(failed, func(err error) bool {
		return !errors.Is(err, errServer) && !errors.Is(err, errLame)
	})
}

// try queries one server, within the timeout of one try, and updates the server's
// health. A query that was cancelled because another server was faster does not count,
// unless the server has used its full time, or had failed before and was slow again.
func (g *group) try(ctx context.Context, u *upstream, q question, number int) (result attempt) {
	defer func() {
		if v := recover(); v != nil {
			result = attempt{from: u.name, number: number, err: panics.New(v)}
		}
	}()
	tried, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	began := time.Now()
	a, err := u.query(tried, q)
	took := time.Since(began)
	if tried.Err() != nil {
		err = core.NoAnswer(err, min(g.timeout, took.Round(time.Millisecond)))
	}
	calledOff := ctx.Err() != nil
	u.queries.Count(resultOf(a, err, calledOff), took)
	switch {
	case err == nil, errors.Is(err, errServer): // the server is healthy: the error may concern this name only
		u.answered(q.kind)
	case !calledOff || took >= g.timeout:
		u.failed(q.kind)
	case took >= hedgeDelay:
		u.silent(q.kind)
	}
	return attempt{a, u.name, number, err}
}

// patience returns how long u may take before the next server is queried too.
func (g *group) patience(u *upstream, kind uint16) time.Duration {
	if g.strategy == "race" {
		return 0
	}
	if failures, _ := u.health(kind); failures > 0 {
		return hedgeDelay
	}
	return g.timeout
}

// order returns the servers in the order of queries: servers that rest after a failure
// come last.
func (g *group) order(now time.Time, kind uint16) []*upstream {
	order := slices.Clone(g.servers)
	if g.strategy == "spread" && len(order) > 1 {
		at := int(g.turn.Add(1) % uint32(len(order)))
		order = append(order[at:len(order):len(order)], order[:at]...)
	}
	slices.SortStableFunc(order, func(a, b *upstream) int { return a.rest(now, kind).Compare(b.rest(now, kind)) })
	return order
}

// rest returns the end of u's rest, or the zero time if it does not rest.
func (u *upstream) rest(now time.Time, kind uint16) time.Time {
	if _, until := u.health(kind); until.After(now) {
		return until
	}
	return time.Time{}
}
