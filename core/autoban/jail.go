package autoban

import (
	"net/netip"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// MaxClients is how many clients a Jail remembers: over it, the one that failed
	// the longest ago is forgotten.
	MaxClients = 1 << 16
	// MaxCount is the most that Rules.Count can be.
	MaxCount = 100
)

// Rules are what a Jail goes by.
type Rules struct {
	Count       int           // failures that make a ban, 1 to MaxCount
	Window      time.Duration // in which they must fall
	Duration    time.Duration // of a first ban; each further one is twice as long
	MaxDuration time.Duration // of any; after as long without a ban the earlier ones are forgotten
	Exempt      []netip.Prefix
}

// A Ban is what becomes of a client with too many failures.
type Ban struct {
	Client   netip.Prefix
	Duration time.Duration
	Failures int
	Took     time.Duration // from the first of them to the last
}

// Jail counts the failures of clients. It is not safe for concurrent use.
type Jail struct {
	rules   Rules
	records *simplelru.LRU[netip.Prefix, *record] // by their last failure
}

// record is one client.
type record struct {
	times []time.Time // of failures in the window, at most Rules.Count
	bans  int         // so far
	until time.Time   // end of the last one
}

// NewJail returns an empty Jail.
func NewJail(r Rules) *Jail {
	records, err := simplelru.NewLRU[netip.Prefix, *record](MaxClients, nil)
	if err != nil {
		panic(err) // it is for a bound below 1 alone
	}
	return &Jail{rules: r, records: records}
}

// Add counts a failure that was read at now, and tells if it makes a ban. A ban
// begins at now, even if the line that makes it is old; what else is read of its
// client until it ends counts for nothing.
func (j *Jail) Add(f Failure, now time.Time) (Ban, bool) {
	if j.exempts(f.Client) {
		return Ban{}, false
	}
	if f.At.IsZero() {
		f.At = now
	}
	r := j.record(f.Client)
	if now.Before(r.until) {
		return Ban{}, false
	}
	if now.Sub(r.until) > j.rules.MaxDuration {
		r.bans = 0
	}
	r.add(f.At, j.rules.Window)
	if len(r.times) < j.rules.Count {
		return Ban{}, false
	}
	b := Ban{Client: f.Client, Duration: j.duration(r.bans), Failures: len(r.times), Took: r.took()}
	r.times, r.until = nil, now.Add(b.Duration)
	r.bans++
	return b, true
}

// exempts reports whether a client, or a part of it, is never banned. Nobody is
// reached without link-local addresses, so they are not either.
func (j *Jail) exempts(client netip.Prefix) bool {
	ip := client.Addr()
	if ip.IsUnspecified() && client.Bits() == ip.BitLen() || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range j.rules.Exempt {
		if p.Overlaps(client) {
			return true
		}
	}
	return false
}

// record returns the record of a client as the one that failed last.
func (j *Jail) record(client netip.Prefix) *record {
	r, ok := j.records.Get(client)
	if !ok {
		r = new(record)
		j.records.Add(client, r)
	}
	return r
}

// duration returns how long a ban lasts after so many before it.
func (j *Jail) duration(bans int) time.Duration {
	d := j.rules.Duration
	for range bans {
		if d >= j.rules.MaxDuration/2 {
			return j.rules.MaxDuration
		}
		d *= 2
	}
	return min(d, j.rules.MaxDuration)
}

// add counts a failure, and forgets those that are not in one window with it. Times
// of a log may go back, where a clock is set.
func (r *record) add(at time.Time, window time.Duration) {
	kept := r.times[:0]
	for _, t := range r.times {
		if at.Sub(t).Abs() < window {
			kept = append(kept, t)
		}
	}
	r.times = append(kept, at)
}

// took returns how long the failures took.
func (r *record) took() time.Duration {
	first, last := r.times[0], r.times[0]
	for _, t := range r.times[1:] {
		if t.Before(first) {
			first = t
		}
		if t.After(last) {
			last = t
		}
	}
	return last.Sub(first)
}
