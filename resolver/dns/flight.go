package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

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

// start returns the running flight for q, or starts one. seen is the store's entry
// that the caller has seen, or nil.
func (r *Resolver) start(q question, seen *entry) (*flight, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[q]; f != nil {
		return f, nil
	}
	if r.ended {
		return nil, core.ErrShutdown
	}
	f := &flight{done: make(chan struct{})}
	if e := r.store.get(q); e != nil && e != seen && e.left(time.Now()) > 0 { // another flight has finished in between
		f.entry = e
		close(f.done)
		return f, nil
	}
	r.flights[q] = f
	r.running.Go(func() { r.run(q, f) })
	return f, nil
}

// run queries the servers, stores the result and ends the flight.
func (r *Resolver) run(q question, f *flight) {
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
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return r.failure(q, fmt.Errorf("%w: %d queries are running", core.ErrCrowded, cap(r.slots)))
	}
	ttl, at := time.Duration(1<<63-1), q
	for chain := 0; ; {
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
		if chain += a.chain; chain >= maxChain {
			return r.failure(q, fmt.Errorf("%s: %w: CNAME chain of over %d names", from, core.ErrMalformed, maxChain))
		}
		if _, own, _ := dial.OwnName(a.next); own || !isHost(a.next) {
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
			slog.String("name", q.name), slog.String("err", oneLine(err)))
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
