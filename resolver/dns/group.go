package dns

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Strategy is how several servers are used: "failover", "race" or "spread".
type Strategy string

// Values returns the three words.
func (Strategy) Values() []string { return []string{"failover", "race", "spread"} }

// UnmarshalText reads one of them.
func (s *Strategy) UnmarshalText(text []byte) error { return option.ReadWord(s, text, s.Values()) }

// impatience is how long a server that has failed of late is waited for before the
// next one is asked beside it.
const impatience = 250 * time.Millisecond

// maxRounds is how often each server is asked one question.
const maxRounds = 2

// group is servers that answer the same questions.
type group struct {
	servers  []*upstream
	strategy Strategy
	timeout  time.Duration   // of one try
	running  *sync.WaitGroup // goroutines
	turn     atomic.Uint32   // of spread
}

// attempt is what came of one try.
type attempt struct {
	answer
	from   string
	number int // of the try
	err    error
}

// ask asks the servers, in the order of the strategy, the next one as soon as one
// has failed or takes too long, and returns the first answer. A server that is
// passed over may still answer first.
func (g *group) ask(ctx context.Context, q question) (answer, string, error) {
	order := g.order(time.Now())
	var failed []error
	if u := order[0]; g.patience(u) == g.timeout { // nobody is asked beside it, so it needs no goroutine
		r := g.try(ctx, u, q, 0)
		if r.err == nil {
			return r.answer, r.from, nil
		}
		failed = append(failed, r.err)
	}
	return g.askMore(ctx, q, order, failed)
}

// askMore is ask after the first server has failed, or with none asked yet.
func (g *group) askMore(ctx context.Context, q question, order []*upstream, failed []error) (answer, string, error) {
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
			timer.Reset(g.patience(u))
		case r := <-results:
			running--
			if r.err == nil {
				return r.answer, r.from, nil
			}
			failed = append(failed, r.err)
			if r.number == begun-1 || running == 0 { // else the one after it has been asked already
				timer.Reset(0)
			}
		}
	}
}

// more reports whether there is a server to ask after as many tries. Once all have
// been asked and have failed, they are asked again, unless they said no.
func more(begun, running, servers int, failed []error) bool {
	return begun < servers || running == 0 && begun < maxRounds*servers && !settled(failed)
}

// settled reports whether asking the same servers again would lead to the same.
func settled(failed []error) bool {
	return !slices.ContainsFunc(failed, func(err error) bool {
		return !errors.Is(err, errServer) && !errors.Is(err, errLame)
	})
}

// try asks one server, for as long as one try may take, and notes how it was. That
// a question was called off, because another server was faster, says nothing, unless
// this one had its time or was to prove that it is back.
func (g *group) try(ctx context.Context, u *upstream, q question, number int) (result attempt) {
	defer func() {
		if v := recover(); v != nil {
			result = attempt{from: u.name, number: number, err: &panics.Error{Value: v, Stack: debug.Stack()}}
		}
	}()
	tried, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	began := time.Now()
	a, err := u.ask(tried, q)
	took := time.Since(began)
	switch calledOff := ctx.Err() != nil; {
	case err == nil, errors.Is(err, errServer): // it does live: the trouble may be the name's alone
		u.answered()
	case !calledOff || took >= g.timeout:
		u.failed()
	case took >= impatience:
		u.silent()
	}
	return attempt{a, u.name, number, err}
}

// patience returns how long u may take before the next server is asked too.
func (g *group) patience(u *upstream) time.Duration {
	if g.strategy == "race" {
		return 0
	}
	if failures, _ := u.health(); failures > 0 {
		return impatience
	}
	return g.timeout
}

// order returns the servers in the order in which they are asked: those that rest
// after a failure come last.
func (g *group) order(now time.Time) []*upstream {
	order := slices.Clone(g.servers)
	if g.strategy == "spread" && len(order) > 1 {
		at := int(g.turn.Add(1) % uint32(len(order)))
		order = append(order[at:len(order):len(order)], order[:at]...)
	}
	slices.SortStableFunc(order, func(a, b *upstream) int { return a.rest(now).Compare(b.rest(now)) })
	return order
}

// rest returns the end of u's rest, or the zero time if it does not rest.
func (u *upstream) rest(now time.Time) time.Time {
	if _, until := u.health(); until.After(now) {
		return until
	}
	return time.Time{}
}
