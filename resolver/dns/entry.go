package dns

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// entry is what is known of one question. Its fields but for the counters don't
// change, so that whoever has it may read it without a lock.
type entry struct {
	question
	status status
	ips    []netip.Addr
	from   string        // the server that said so
	ttl    time.Duration // for which it was good when it came
	until  time.Time     // when that ends
	err    error         // of failed

	hits  atomic.Int32 // since it came
	retry atomic.Int64 // Unix nanoseconds before which it is not asked for anew
}

// entryOverhead is what an entry takes beyond its name and addresses, in bytes:
// itself, its places in a list and a map, what the allocator adds.
const entryOverhead = 320

// size returns about how much memory e takes, in bytes.
func (e *entry) size() int {
	return entryOverhead + 2*len(e.name) + len(e.from) + 24*len(e.ips)
}

// left returns for how long e is still good.
func (e *entry) left(now time.Time) time.Duration { return e.until.Sub(now) }

// hot reports whether e is asked for often enough, and near enough to its end, to
// be asked for anew before that: in the last tenth of its life, from the third
// hit on.
func (e *entry) hot(now time.Time) bool {
	return e.status == found && e.ttl >= 10*time.Second && e.left(now) < e.ttl/10 && e.hits.Load() >= 3
}

// rest has e left alone until a time, after it could not be asked for anew.
func (e *entry) rest(until time.Time) { e.retry.Store(until.UnixNano()) }

// rests reports whether e is left alone.
func (e *entry) rests(now time.Time) bool { return now.UnixNano() < e.retry.Load() }
