package autoban

import (
	"net/netip"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// MaxClients is the number of clients that a Jail remembers. Above it, the client
	// whose last failure is oldest is forgotten.
	MaxClients = 1 << 16
	// MaxCount is the upper limit of Rules.Count.
	MaxCount = 100
	// minorPerFailure is the number of minor failures that count as one.
	minorPerFailure = 10
)

// Rules are the limits that a Jail applies.
type Rules struct {
	Count       int           // failures that cause a ban, 1 to MaxCount
	Window      time.Duration // in which the failures must occur
	Duration    time.Duration // of a first ban; each further ban is twice as long
	MaxDuration time.Duration // of any ban; after the same time without a ban the earlier ones are forgotten
	Exempt      []netip.Prefix
}

// A Ban is the consequence of too many failures of one client.
type Ban struct {
	Client   netip.Prefix
	Duration time.Duration
	Failures int
	Took     time.Duration // from the first failure to the last
}

// Jail counts the failures of clients. It is not safe for concurrent use.
type Jail struct {
	rules   Rules
	records *simplelru.LRU[netip.Prefix, *record] // ordered by last failure
}

// record is the state of one client.
type record struct {
	times []time.Time // of failures in the window, at most Rules.Count
	minor []time.Time // of minor failures in the window, at most minorPerFailure
	bans  int         // bans so far
	until time.Time   // end of the last ban
}

// NewJail returns an empty Jail.
func NewJail(r Rules) *Jail {
	records, err := simplelru.NewLRU[netip.Prefix, *record](MaxClients, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Jail{rules: r, records: records}
}

// Add counts a failure that was read at now, and returns true if it causes a ban. A
// ban begins at now, even if the line is old. Failures of the client that are read
// before the ban ends do not count.
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
	if f.Minor {
		if r.minor = within(r.minor, f.At, j.rules.Window); len(r.minor) < minorPerFailure {
			return Ban{}, false
		}
		r.minor = nil
	}
	r.times = within(r.times, f.At, j.rules.Window)
	if len(r.times) < j.rules.Count {
		return Ban{}, false
	}
	b := Ban{Client: f.Client, Duration: j.duration(r.bans), Failures: len(r.times), Took: r.took()}
	r.times, r.minor, r.until = nil, nil, now.Add(b.Duration)
	r.bans++
	return b, true
}

// exempts reports whether a client, or a part of it, is never banned. Link-local
// addresses are exempt, because a ban of the gateway's would cut off the machine.
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

// record returns the record of a client and marks it as the last to fail.
func (j *Jail) record(client netip.Prefix) *record {
	r, ok := j.records.Get(client)
	if !ok {
		r = new(record)
		j.records.Add(client, r)
	}
	return r
}

// duration returns the duration of a ban after the given number of earlier bans.
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

// within adds a time to times, and drops those that are not within one window of it. The
// times of a log may go backwards when a clock is set.
func within(times []time.Time, at time.Time, window time.Duration) []time.Time {
	kept := times[:0]
	for _, t := range times {
		if at.Sub(t).Abs() < window {
			kept = append(kept, t)
		}
	}
	return append(kept, at)
}

// took returns the time between the first and the last failure.
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
