package dns

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// entry is the cached result of one question. Only its counters change, so it may be
// read without a lock.
type entry struct {
	question
	status status
	ips    []netip.Addr
	from   string        // the server that answered
	ttl    time.Duration // at the time of the answer
	until  time.Time     // when the entry expires
	err    error         // for status failed

	hits  atomic.Int32 // lookups served from this entry
	retry atomic.Int64 // Unix nanoseconds before which the entry is not refreshed
}

// entryOverhead is the memory of an entry beyond its name and addresses, in bytes: the
// struct, its places in a list and a map, and the allocator's overhead.
const entryOverhead = 320

// size returns the approximate memory of e in bytes.
func (e *entry) size() int {
	return entryOverhead + 2*len(e.name) + len(e.from) + 24*len(e.ips)
}

// left returns the time until e expires.
func (e *entry) left(now time.Time) time.Duration { return e.until.Sub(now) }

// hot reports whether e is to be refreshed before it expires: in the last tenth of its
// TTL, after at least three hits.
func (e *entry) hot(now time.Time) bool {
	return e.status == found && e.ttl >= 10*time.Second && e.left(now) < e.ttl/10 && e.hits.Load() >= 3
}

// rest prevents a refresh of e until a time, after a refresh has failed.
func (e *entry) rest(until time.Time) { e.retry.Store(until.UnixNano()) }

// rests reports whether e must not be refreshed yet.
func (e *entry) rests(now time.Time) bool { return now.UnixNano() < e.retry.Load() }
