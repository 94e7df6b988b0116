package dns

import "time"

// part is one family of a name while it is looked up.
type part struct {
	entry  *entry // what is known; nil while nothing is
	stale  *entry // what may be served if nothing better comes
	flight *flight
}

func (p *part) waits() bool { return p.flight != nil }

func (p *part) done() <-chan struct{} {
	if p.flight == nil {
		return nil
	}
	return p.flight.done
}

// land takes over what the flight has brought, or the stale answer if that is
// better than nothing.
func (p *part) land() {
	p.entry = p.flight.entry
	if p.entry.status == failed && p.stale != nil {
		p.entry = p.stale
	}
	p.flight = nil
}

// late gives up on a better answer than the stale one, and lets those who come after
// not wait for it.
func (p *part) late() {
	if p.flight != nil && p.stale != nil {
		p.stale.rest(time.Now().Add(staleAgain))
		p.give()
	}
}

// give ends the wait with what there is.
func (p *part) give() {
	if p.flight != nil {
		p.entry, p.flight = p.stale, nil
	}
}

func (p *part) has() bool { return p.entry != nil && p.entry.status == found }

// begin returns what is known of a question, and a flight if it has to be asked.
func (r *Resolver) begin(q question, now time.Time) part {
	e := r.store.get(q)
	switch {
	case e != nil && e.left(now) > 0:
		e.hits.Add(1)
		if r.prefetch && e.hot(now) && len(r.slots) < cap(r.slots)/2 && !e.rests(now) {
			_, _ = r.fly(q, e) // whatever comes of it
		}
		return part{entry: e}
	case e == nil || !r.mayServe(e, now):
		return r.flying(q, e, nil)
	case e.rests(now):
		return part{entry: e}
	}
	return r.flying(q, e, e)
}

// flying is begin for what has to be asked. seen is what the store had.
func (r *Resolver) flying(q question, seen, stale *entry) part {
	if !isHost(q.name) {
		return part{entry: &entry{question: q, status: missing}}
	}
	f, err := r.fly(q, seen)
	if err != nil {
		return part{entry: &entry{question: q, status: failed, err: err}}
	}
	return part{stale: stale, flight: f}
}

// delayOf returns how long the family that is missing is still waited for.
func delayOf(four, six *part) time.Duration {
	switch {
	case six.waits() && four.has():
		return resolutionDelay
	case four.waits() && six.has():
		return otherDelay
	}
	return 0
}
