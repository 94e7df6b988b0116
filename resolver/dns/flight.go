package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/panics"
)

const (
	totalTimeout = 5 * time.Second  // of all tries for one question
	failedTTL    = 5 * time.Second  // RFC 9520 §3.2: failures are kept for 1 s at least
	unsaidTTL    = 5 * time.Second  // of a negative answer without a SOA
	staleAgain   = 30 * time.Second // RFC 8767 §5: the pause after a failed refresh
)

// flight is a running query. All concurrent lookups of its question wait for it.
type flight struct {
	done  chan struct{}
	entry *entry // the result, never nil; valid once done is closed
}

// start returns the running flight for q, or starts one in a slot of the asker. It
// returns nil if no slot is free. seen is the store's entry that the caller has seen, or
// nil.
func (r *Resolver) start(a dial.Asker, q question, seen *entry) (*flight, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, err := r.ready(q, seen); f != nil || err != nil {
		return f, err
	}
	if !r.slots.Try(a) {
		return nil, nil
	}
	f := &flight{done: make(chan struct{})}
	r.flights[q] = f
	r.running.Go(func() { r.run(a, q, f) })
	return f, nil
}

// ready returns a flight for q that needs no slot: the running one, or one that has just
// ended. It returns nil if there is none. mu is held.
func (r *Resolver) ready(q question, seen *entry) (*flight, error) {
	if f := r.flights[q]; f != nil {
		return f, nil
	}
	if r.ended {
		return nil, core.ErrShutdown
	}
	if e := r.store.get(q); e != nil && e != seen && e.left(time.Now()) > 0 { // another flight has finished in between
		f := &flight{done: make(chan struct{}), entry: e}
		close(f.done)
		return f, nil
	}
	return nil, nil
}

// await returns a flight that begins when the asker gets a slot. Until then no other
// lookup joins it: another client has slots of its own, and would wait with this one.
func (r *Resolver) await(ctx context.Context, a dial.Asker, q question, seen *entry) *flight {
	if count, say := r.crowded.Count(time.Now()); say {
		r.log.LogAttrs(ctx, slog.LevelWarn, "queries wait for their turn: raise client_queries or max_queries, or look for a client that asks for dead names",
			slog.Int("queries", count), slog.String("client", a.String()), slog.String("name", q.name))
	}
	f := &flight{done: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		f.entry = &entry{question: q, status: failed, err: core.ErrShutdown}
		close(f.done)
		return f
	}
	r.running.Go(func() { r.queue(ctx, a, q, seen, f) })
	return f
}

// queue waits for a slot until the lookup of ctx or the resolver ends, and then runs f.
func (r *Resolver) queue(ctx context.Context, a dial.Asker, q question, seen *entry, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	if err := r.slots.Acquire(ctx, a); err != nil {
		f.entry = &entry{question: q, status: failed, err: err} // it is not kept: it says nothing about the name
		close(f.done)
		return
	}
	r.mu.Lock()
	other, err := r.ready(q, seen)
	if other == nil && err == nil {
		r.flights[q] = f
		r.mu.Unlock()
		r.run(a, q, f)
		return
	}
	r.mu.Unlock()
	r.slots.Release(a)
	if err != nil {
		f.entry = &entry{question: q, status: failed, err: err}
	} else {
		<-other.done // at the latest after totalTimeout
		f.entry = other.entry
	}
	close(f.done)
}

// run queries the servers, stores the result, ends the flight and returns its slot.
func (r *Resolver) run(a dial.Asker, q question, f *flight) {
	defer r.slots.Release(a)
	ctx, cancel := context.WithTimeout(r.life, totalTimeout)
	defer cancel()
	e := r.find(ctx, q)
	r.keep(e)
	r.mu.Lock()
	delete(r.flights, q)
	r.mu.Unlock()
	f.entry = e
	close(f.done)
}

// keep puts e into the store. A failure does not replace an answer that may still be
// used. An answer with a TTL of 0 is not stored, and an older answer is removed.
func (r *Resolver) keep(e *entry) {
	old := r.store.get(e.question)
	switch now := time.Now(); {
	case r.life.Err() != nil:
	case e.status == failed && old != nil && (old.left(now) > 0 || r.mayServe(old, now)):
		old.rest(now.Add(staleAgain))
	case e.ttl > 0:
		r.store.put(e)
	case old != nil:
		r.store.drop(e.question)
	}
}

// find queries the servers, and follows a CNAME chain across servers.
func (r *Resolver) find(ctx context.Context, q question) *entry {
	ttl, at := time.Duration(1<<63-1), q
	for chain, follow := 0, 0; ; follow++ {
		a, from, err := r.serversFor(at.name).query(ctx, at)
		if err != nil {
			return r.failure(q, err)
		}
		if a.ttl != unsaid {
			ttl = min(ttl, a.ttl)
		}
		if a.next == "" {
			return r.entry(q, a, ttl, from)
		}
		if chain += a.chain; chain >= maxChain || follow >= maxFollow {
			return r.failure(q, fmt.Errorf("%s: %w: CNAME chain of over %d names, or of over %d queries", from, core.ErrMalformed, maxChain, maxFollow))
		}
		if _, own, _ := dial.OwnName(a.next); own {
			return r.entry(q, answer{status: missing}, ttl, from)
		}
		at.name = a.next
	}
}

// entry returns an answer as an entry, with the TTL within the configured bounds.
func (r *Resolver) entry(q question, a answer, ttl time.Duration, from string) *entry {
	switch {
	case a.status == found:
		ttl = min(max(ttl, r.minTTL), r.maxTTL)
	case a.ttl == unsaid:
		ttl = min(ttl, unsaidTTL)
	default:
		ttl = min(ttl, r.negativeTTL)
	}
	return &entry{question: q, status: a.status, ips: a.ips, from: from, ttl: ttl, until: time.Now().Add(ttl)}
}

// failure returns the entry of a question for which no server had a usable answer.
func (r *Resolver) failure(q question, err error) *entry {
	if !panics.Log(r.log, "lookup panicked", err) {
		r.warn(q, err)
	}
	return &entry{question: q, status: failed, err: err, ttl: failedTTL, until: time.Now().Add(failedTTL)}
}

// warn logs that no server answers, at most once every warnEvery.
func (r *Resolver) warn(q question, err error) {
	if r.life.Err() != nil || errors.Is(err, errServer) {
		return
	}
	r.mu.Lock()
	now := time.Now()
	say := r.warned.IsZero() || now.Sub(r.warned) >= warnEvery
	if say {
		r.warned = now
	}
	r.mu.Unlock()
	if say {
		r.log.LogAttrs(context.Background(), slog.LevelWarn, "no name server answers",
			slog.String("name", q.name), slog.String("type", dns.TypeToString[q.kind]), slog.String("err", oneLine(err)))
	}
}

// dnsError returns the error of a lookup of name without addresses.
func (e *entry) dnsError(name string) error {
	d := &net.DNSError{Name: name, Server: e.from}
	switch e.status {
	case missing:
		d.Err, d.IsNotFound = "no such host", true
	case empty, found:
		d.Err, d.IsNotFound = "no address", true
	case failed:
		d.Err, d.UnwrapErr = oneLine(e.err), e.err
		d.IsTemporary = true
		d.IsTimeout = errors.Is(e.err, context.DeadlineExceeded)
	}
	return d
}
