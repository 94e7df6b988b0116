package ban

import (
	"encoding/json"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/policy/store"
)

// shared is a table in the form of a store.Set: an entry for each address, under the
// policy's name. An entry expires when the address's bans no longer count. It has no
// value once the operator has removed the ban.
type shared struct {
	*table
	prefix string // of the entries' keys
}

var _ store.Set = shared{}

// value is the value of an entry.
type value struct {
	Since   int64  `json:"since"` // Unix ms
	Until   int64  `json:"until"` // Unix ms
	Count   int    `json:"count"`
	Failure string `json:"failures"`
}

// entry returns a ban as an entry of a store.
func (s shared) entry(b Ban) store.Entry {
	e := store.Entry{Key: s.prefix + b.Addr.String(), At: b.At, Until: b.forgetAt(s.rules.Load().Decay.Std())}
	if !b.Lifted {
		e.Value, _ = json.Marshal(value{b.Since.UnixMilli(), b.Until.UnixMilli(), b.Count, b.Failure}) // can't fail for these types
	}
	return e
}

// All returns the entries of all bans.
func (s shared) All() iter.Seq[store.Entry] {
	return func(yield func(store.Entry) bool) {
		for _, b := range s.list() {
			if !yield(s.entry(b)) {
				return
			}
		}
	}
}

// Merge adds another node's ban of an address, if it is newer. Whatever the other
// node's clock, the ban is at most as long as one imposed on this node.
func (s shared) Merge(e store.Entry) {
	addr, err := netip.ParsePrefix(strings.TrimPrefix(e.Key, s.prefix))
	if err != nil || addr != addr.Masked() {
		return
	}
	if isTooWide(addr) {
		s.refuse(addr)
		return
	}
	b := Ban{Addr: addr, At: e.At, Lifted: len(e.Value) == 0}
	if !b.Lifted {
		var v value
		if json.Unmarshal(e.Value, &v) != nil {
			return
		}
		b.Since, b.Until, b.Count, b.Failure = time.UnixMilli(v.Since), time.UnixMilli(v.Until), v.Count, causeOf(v.Failure)
	}
	s.merge(b, time.Now())
}

// The shortest prefixes that can be banned, by hand or by the store: those of prefix_v4
// and prefix_v6. A writer of the store could ban every client with a shorter one.
const minBits4, minBits6 = 8, 16

// isTooWide reports whether a prefix is too short for a ban.
func isTooWide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < minBits4
	}
	return p.Bits() < minBits6
}

// refuse logs that a ban of the store is ignored, once a minute.
func (t *table) refuse(p netip.Prefix) {
	if _, say := t.tooWide.Count(time.Now()); say {
		t.log.Warn("ban of the store ignored: the range is too wide; who writes to the store?", slog.String("client", name(p)))
	}
}

// maxFailure is the maximum length of the cause of another node's ban in bytes.
const maxFailure = 255

// causeOf returns the cause of another node's ban without control characters, which a
// terminal would execute.
func causeOf(s string) string {
	return core.Visible(s[:min(len(s), maxFailure)], "")
}

// merge adds a ban of another node.
func (t *table) merge(b Ban, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.bans[b.Addr]
	if r != nil && !b.At.After(r.At) || r == nil && b.Lifted {
		return
	}
	if latest := now.Add(t.rules.Load().MaxDuration.Std()); b.Until.After(latest) {
		b.Until = latest
	}
	b.Count = min(max(0, b.Count), maxCount)
	switch {
	case b.Lifted:
		b.Until, b.Since = r.Until, r.Since
	case !now.Before(b.forgetAt(t.rules.Load().Decay.Std())):
		return
	case r == nil:
		r = t.add(b.Addr, now)
	}
	was := r.IsActive(now)
	r.Ban, r.ended = b, false
	t.reschedule(r, b.Until)
	t.enforce(r.Ban)
	is := r.IsActive(now)
	t.hold(r, is)
	switch {
	case is && !was:
		t.tallies.Remove(b.Addr)
		t.made[theStore].Add(1)
		t.logBan(b, now, slog.String("by", "the store"))
	case was && !is:
		t.log.Info("ban lifted", slog.String("client", name(b.Addr)), slog.String("by", "the store"))
	}
}

// maxCount bounds Count: after so many consecutive bans any duration has reached its
// maximum.
const maxCount = 64
