package dns

import (
	"context"
	"time"

	"github.com/umbra-proxy/umbra/core/dial"
)

// part is the lookup of one family of a name.
type part struct {
	entry  *entry  // the result; nil until there is one
	stale  *entry  // an expired entry that may be used if the query fails, or nil
	flight *flight // the running query, or nil
	cached bool    // entry is one of the store
}

func (p *part) waits() bool { return p.flight != nil }

func (p *part) done() <-chan struct{} {
	if p.flight == nil {
		return nil
	}
	return p.flight.done
}

// finish sets entry to the result of the flight, or to the stale entry if the flight
// failed.
func (p *part) finish() {
	p.entry = p.flight.entry
	if p.entry.status == failed && p.stale != nil {
		p.entry = p.stale
	}
	p.flight = nil
}

// useStale ends the wait with the stale entry, if there is one, and makes later
// lookups use the stale entry without a wait.
func (p *part) useStale() {
	if p.flight != nil && p.stale != nil {
		p.stale.rest(time.Now().Add(staleAgain))
		p.giveUp()
	}
}

// giveUp ends the wait with the stale entry, or without a result.
func (p *part) giveUp() {
	if p.flight != nil {
		p.entry, p.flight = p.stale, nil
	}
}

func (p *part) has() bool { return p.entry != nil && p.entry.status == found }

// begin returns the cached entry of a question, or a flight if the question must be
// queried.
func (r *Resolver) begin(ctx context.Context, q question, now time.Time) part {
	e := r.store.get(q)
	switch {
	case e != nil && e.left(now) > 0:
		e.hits.Add(1)
		if r.prefetch && e.hot(now) && !e.rests(now) && r.idle() {
			_, _ = r.start(dial.AskerOf(ctx), q, e) // a refresh; its result is not needed here
		}
		return part{entry: e, cached: true}
	case e == nil || !r.mayServe(e, now):
		return r.beginQuery(ctx, q, e, nil)
	case e.rests(now):
		return part{entry: e, cached: true}
	}
	return r.beginQuery(ctx, q, e, e)
}

// beginQuery is begin for a question that must be queried. seen is the store's entry,
// or nil.
func (r *Resolver) beginQuery(ctx context.Context, q question, seen, stale *entry) part {
	if !isHost(q.name) {
		return part{entry: &entry{question: q, status: missing}}
	}
	asker := dial.AskerOf(ctx)
	f, err := r.start(asker, q, seen)
	switch {
	case err != nil:
		return part{entry: &entry{question: q, status: failed, err: err}}
	case f == nil:
		f = r.await(ctx, asker, q, seen)
	}
	return part{stale: stale, flight: f}
}

// idle reports whether fewer than half of the queries that may run do.
func (r *Resolver) idle() bool {
	used, total := r.slots.Used()
	return used < total/2
}

// delayOf returns how long to wait for one family once the other has addresses.
func delayOf(four, six *part) time.Duration {
	switch {
	case six.waits() && four.has():
		return resolutionDelay
	case four.waits() && six.has():
		return otherDelay
	}
	return 0
}
