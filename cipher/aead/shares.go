package aead

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// datagramShare is the divisor for the share of time that searches for the users of
	// datagrams get.
	datagramShare = 20
	// datagramBurst is the maximum time for them at once.
	datagramBurst = 50 * time.Millisecond
	// likelyShare is the divisor for the share of time in which likely users are tried.
	likelyShare = 40
	// maxSources is the number of source prefixes whose searches are counted.
	maxSources = 1 << 12
)

// sourceLevels are the prefixes of a source that have a share each: of the time of all
// datagrams, one part in this many.
var sourceLevels = [...]struct {
	ipv4, ipv6 int // bits
	part       time.Duration
}{{32, 64, 8}, {24, 48, 4}, {16, 32, 2}}

// shares divides the time for searches for the users of datagrams, a twentieth of all,
// among the sources. While more than half of what may be spent at once is left, every
// source may search. The rest is for sources within their share: an eighth for one
// address (IPv6: /64), a quarter for one /24 (/48) and a half for one /16 (/32). So a
// flood from one source, which may be forged, leaves others their searches.
type shares struct {
	burst time.Duration // for all at once

	mu      sync.Mutex
	total   budget // guarded by mu, as all that follows
	likely  budget
	sources *simplelru.LRU[netip.Prefix, *budget]
}

func newShares() *shares {
	l, err := simplelru.NewLRU[netip.Prefix, *budget](maxSources, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &shares{burst: datagramBurst, sources: l}
}

// budget is time that may be spent. It may become negative by one search.
type budget struct {
	left  time.Duration
	since time.Time // when left was updated; the zero Time before the first use
}

// refill adds one part of the time since the last call, up to most, and returns what is
// left.
func (b *budget) refill(now time.Time, part, most time.Duration) time.Duration {
	switch since := now.Sub(b.since); {
	case b.since.IsZero():
		b.left, b.since = most, now
	case since >= part: // a shorter time would be rounded to 0
		b.left, b.since = min(b.left+since/part, most), now
	}
	return b.left
}

// search returns nil if a datagram of client may not be searched for now, and else a
// function to call after the search.
func (t *shares) search(client netip.Addr) (done func()) {
	began := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.total.refill(began, datagramShare, t.burst)
	within := left > 0
	var charged []*budget // not what lies above an exhausted one: its surplus costs its neighbours nothing
	for _, l := range sourceLevels {
		b := t.source(client, l.ipv4, l.ipv6)
		charged = append(charged, b)
		if within = b.refill(began, datagramShare*l.part, t.burst/l.part) > 0 && within; !within {
			break
		}
	}
	if !within && left <= t.burst/2 {
		return nil
	}
	return func() {
		took := time.Since(began)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.total.left -= took
		for i, b := range charged { // a debt of one burst at most: it ends soon after the flood
			b.left = max(b.left-took, -t.burst/sourceLevels[i].part)
		}
	}
}

// tryLikely returns nil if likely users may not be tried now, and else a function to call
// after that.
func (t *shares) tryLikely() (done func()) {
	began := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.likely.refill(began, likelyShare, t.burst) <= 0 {
		return nil
	}
	return func() {
		took := time.Since(began)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.likely.left -= took
	}
}

// source returns the budget of a client's prefix. mu is held.
func (t *shares) source(client netip.Addr, ipv4, ipv6 int) *budget {
	client = client.Unmap()
	bits := ipv6
	if client.Is4() {
		bits = ipv4
	}
	prefix, _ := client.WithZone("").Prefix(bits) // fails for the zero Addr only
	b, ok := t.sources.Get(prefix)
	if !ok {
		b = new(budget)
		t.sources.Add(prefix, b)
	}
	return b
}
