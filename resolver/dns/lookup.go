package dns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
)

const (
	resolutionDelay = 50 * time.Millisecond   // RFC 8305 §3: wait for IPv6 addresses once there are IPv4 addresses
	otherDelay      = 250 * time.Millisecond  // wait for IPv4 addresses, which would not be tried sooner
	staleDelay      = 1800 * time.Millisecond // RFC 8767 §5: after it a stale answer is used
	staleTTL        = 30 * time.Second        // RFC 8767 §4: the TTL of a stale answer
	warnEvery       = 30 * time.Second
)

// LookupIP implements core.Resolver.
func (r *Resolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	if ips, ok, err := literal(name); ok {
		return ips, err
	}
	began := time.Now()
	both, err := r.both(ctx, name, began)
	var ips []netip.Addr
	if err == nil {
		ips, err = r.addresses(both), both.err(name)
	}
	if r.log.Enabled(ctx, slog.LevelDebug) {
		r.logLookup(ctx, name, began, ips, err)
	}
	return ips, err
}

// Tell implements core.Teller.
func (r *Resolver) Tell(ctx context.Context, name string) ([]core.Found, error) {
	if ips, ok, err := literal(name); ok {
		all := make([]core.Found, len(ips))
		for i, ip := range ips {
			all[i] = core.Found{IP: ip, From: "the name itself"}
		}
		return all, err
	}
	now := time.Now()
	both, err := r.both(ctx, name, now)
	if err != nil {
		return nil, err
	}
	ips := r.addresses(both)
	all := make([]core.Found, len(ips))
	for i, ip := range ips {
		e := both.of(ip)
		left := e.left(time.Now())
		if left <= 0 && e.ttl > 0 {
			left = staleTTL
		}
		all[i] = core.Found{IP: ip, TTL: left, From: e.from, Cached: e.until.Add(-e.ttl).Before(now)}
	}
	return all, both.err(name)
}

// literal returns the addresses of a name that is not queried: an address, or a name
// of dial.OwnName.
func literal(name string) ([]netip.Addr, bool, error) {
	if last := len(name) - 1; last >= 0 && ('0' <= name[last] && name[last] <= '9' || strings.IndexByte(name, ':') >= 0) {
		if ip, err := netip.ParseAddr(name); err == nil && ip.Zone() == "" {
			return []netip.Addr{ip.Unmap()}, true, nil
		}
	}
	return dial.OwnName(name)
}

// pair is the result of a lookup: an entry for each family, or nil for a family that
// is not wanted or had no answer in time.
type pair struct{ four, six *entry }

// both looks up both families of a name.
func (r *Resolver) both(ctx context.Context, name string, now time.Time) (pair, error) {
	host := strings.ToLower(strings.TrimSuffix(name, "."))
	var four, six part
	if r.family.Wants4() {
		four = r.begin(ctx, question{host, dns.TypeA}, now)
	}
	if r.family.Wants6() {
		six = r.begin(ctx, question{host, dns.TypeAAAA}, now)
	}
	if !four.waits() && !six.waits() {
		if four.cached || six.cached {
			r.counts.hits.Add(1)
		}
		return pair{four.entry, six.entry}, nil
	}
	late4, late6 := four, six // the copies escape to the heap, the originals don't
	return r.wait(ctx, host, &late4, &late6)
}

// mayServe reports whether an expired answer may still be used. The answer that a name
// does not exist may not: it would hide a new name.
func (r *Resolver) mayServe(e *entry, now time.Time) bool {
	return (e.status == found || e.status == empty) && e.left(now) > -r.staleFor
}

// wait waits for the flights. Once one family has addresses it waits for the other only
// for delayOf.
func (r *Resolver) wait(ctx context.Context, host string, four, six *part) (pair, error) {
	began := time.Now()
	var late, stale <-chan time.Time
	if four.stale != nil || six.stale != nil {
		timer := time.NewTimer(staleDelay)
		defer timer.Stop()
		stale = timer.C
	}
	for four.waits() || six.waits() {
		if delay := delayOf(four, six); delay > 0 && late == nil {
			timer := time.NewTimer(delay)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-four.done():
			four.finish()
		case <-six.done():
			six.finish()
		case <-late:
			four.giveUp()
			six.giveUp()
		case <-stale:
			four.useStale()
			six.useStale()
		case <-ctx.Done():
			return pair{}, &net.DNSError{Err: core.NoAnswer(ctx.Err(), time.Since(began).Round(time.Millisecond)).Error(), UnwrapErr: ctx.Err(), Name: host, IsTimeout: ctx.Err() == context.DeadlineExceeded}
		}
	}
	return pair{four.entry, six.entry}, nil
}

// addresses returns the addresses of both families, the family to try first at the
// front.
func (r *Resolver) addresses(p pair) []netip.Addr {
	first, second := p.six, p.four
	if p.has(p.six) && p.has(p.four) && !r.family.First6(r.routes.IPv6) {
		first, second = second, first
	}
	switch {
	case p.has(first) && p.has(second):
		return append(append(make([]netip.Addr, 0, len(first.ips)+len(second.ips)), first.ips...), second.ips...)
	case p.has(first):
		return slices.Clone(first.ips)
	case p.has(second):
		return slices.Clone(second.ips)
	}
	return nil
}

func (p pair) has(e *entry) bool { return e != nil && e.status == found }

// of returns the entry that contains ip.
func (p pair) of(ip netip.Addr) *entry {
	if p.has(p.four) && contains(p.four.ips, ip) {
		return p.four
	}
	return p.six
}

// err returns an error if there is no address. If one family failed its error is
// returned, even if the name has no address of the other family.
func (p pair) err(name string) error {
	if p.has(p.four) || p.has(p.six) {
		return nil
	}
	var worst *entry
	for _, e := range [...]*entry{p.four, p.six} {
		if e != nil && (worst == nil || e.status > worst.status) {
			worst = e
		}
	}
	return worst.dnsError(name)
}

func (r *Resolver) logLookup(ctx context.Context, name string, began time.Time, ips []netip.Addr, err error) {
	attrs := []slog.Attr{slog.String("target", name), slog.Duration("took", time.Since(began))}
	if err != nil {
		attrs = append(attrs, slog.String("err", oneLine(err)))
	} else {
		attrs = append(attrs, slog.Any("addresses", ips))
	}
	r.log.LogAttrs(ctx, slog.LevelDebug, "lookup", attrs...)
}

// oneLine returns the text of an error, with joined errors on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
