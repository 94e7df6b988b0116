package ban

import (
	"container/heap"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// generous is how many times as many failures one may have who was served within
	// the last day: others may be behind the same address, and bytes get damaged on
	// the way.
	generous  = 10
	servedFor = 24 * time.Hour
	// servedStep is how exactly it is known when somebody was served.
	servedStep = time.Minute
)

// Ban is what is known of the bans of one address, or of a range that a person has
// banned.
type Ban struct {
	Addr    netip.Prefix
	At      time.Time // when it changed last
	Since   time.Time // when the last ban began
	Until   time.Time // when it ends, or ended
	Count   int       // bans that count for the next one's duration, at Until
	Failure string    // what for
	Lifted  bool      // it was taken back
	Refused int64     // connections that were refused here
}

// IsOn reports whether the ban holds.
func (b Ban) IsOn(now time.Time) bool { return !b.Lifted && now.Before(b.Until) }

// countAt returns how many bans count at a time: one less for each decay since the
// end of the last.
func (b Ban) countAt(now time.Time, decay time.Duration) int {
	return int(max(0, int64(b.Count)-int64(max(0, now.Sub(b.Until))/decay)))
}

// forgetAt returns when nothing of it counts any more.
func (b Ban) forgetAt(decay time.Duration) time.Time {
	return b.Until.Add(time.Duration(max(1, b.Count)) * decay)
}

// record is a Ban in the table.
type record struct {
	Ban
	refused atomic.Int64
	over    bool      // its end has been told
	next    time.Time // when it is looked at again
	place   int       // in the queue
}

// table is the bans, and the failures and successes that they come of.
type table struct {
	rules    atomic.Pointer[rules]
	log      *slog.Logger
	began    time.Time
	inKernel chan struct{} // is held by whoever keeps the kernel's rules; has room for one

	mu      sync.RWMutex
	changed func(b Ban)     // tells others of a change that was made here; guarded by mu
	enforce func(b Ban)     // tells the kernel of any change
	tallies list[*tally]    // guarded by mu, as all that follows
	served  list[time.Time] // when somebody was
	bans    map[netip.Prefix]*record
	queue   queue
	v4, v6  lengths
}

// rules are the options with what is made of them.
type rules struct {
	Options
	weights [reasons]int
}

// list is a bounded map of addresses; over its bound it forgets the one that was added
// longest ago. Peek alone may be called while mu is held for reading.
type list[V any] = *simplelru.LRU[netip.Prefix, V]

// newList returns a list of a bound above 0.
func newList[V any](most int) list[V] {
	l, err := simplelru.NewLRU[netip.Prefix, V](most, nil)
	if err != nil {
		panic(err) // it is for a bound below 1 alone
	}
	return l
}

func newTable(r *rules, log *slog.Logger) *table {
	t := &table{
		log: log, inKernel: make(chan struct{}, 1), began: time.Now(), changed: func(Ban) {}, enforce: func(Ban) {},
		tallies: newList[*tally](r.MaxEntries), served: newList[time.Time](r.MaxEntries),
		bans: map[netip.Prefix]*record{},
	}
	t.rules.Store(r)
	return t
}

// configure makes the table follow a file that is served from now on.
func (t *table) configure(r *rules, changed func(Ban)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.rules.Swap(r); old.Window != r.Window { // which what was counted is in parts of
		t.tallies = newList[*tally](r.MaxEntries)
	}
	t.changed = changed
	t.tallies.Resize(r.MaxEntries)
	t.served.Resize(r.MaxEntries)
}

// banned returns the ban that holds for a client, and counts it.
func (t *table) banned(ip netip.Addr, now time.Time) (Ban, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := t.find(ip, now)
	if r == nil {
		return Ban{}, false
	}
	r.refused.Add(1)
	return r.Ban, true
}

// find returns the ban that holds for a client, or nil. mu is held.
func (t *table) find(ip netip.Addr, now time.Time) *record {
	for _, bits := range t.lengths(ip).used {
		if p, err := ip.Prefix(bits); err == nil {
			if r := t.bans[p]; r != nil && r.IsOn(now) {
				return r
			}
		}
	}
	return nil
}

// lengths are those of the prefixes of one family that are banned.
type lengths struct {
	count [129]int
	used  []int
}

func (l *lengths) add(bits, n int) {
	l.count[bits] += n
	l.used = l.used[:0]
	for bits, n := range l.count {
		if n > 0 {
			l.used = append(l.used, bits)
		}
	}
}

// lengths returns those of an address's family. mu is held.
func (t *table) lengths(ip netip.Addr) *lengths {
	if ip.Is4() {
		return &t.v4
	}
	return &t.v6
}

// failed counts a failure, and bans the client if it was one too many.
func (t *table) failed(ip netip.Addr, why reason, now time.Time) {
	rules := t.rules.Load()
	if rules.weights[why] == 0 || rules.exempts(ip) {
		return
	}
	addr := rules.clientOf(ip)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(ip, now) != nil {
		return // of a connection from before
	}
	c, ok := t.tallies.Peek(addr)
	if !ok {
		c = new(tally)
	}
	c.add(why, rules.weights[why], now.Sub(t.began), rules.Window.Std())
	t.tallies.Add(addr, c)
	allowed := rules.Failures
	if at, ok := t.served.Peek(addr); ok && now.Sub(at) < servedFor {
		allowed *= generous
	}
	if c.sum() < allowed*point {
		return
	}
	t.tallies.Remove(addr)
	r := t.ban(addr, t.durationOf(addr, now), c.evidence(), now)
	r.Count++
	t.told(r, now)
}

// durationOf returns how long the next ban of an address lasts.
func (t *table) durationOf(addr netip.Prefix, now time.Time) time.Duration {
	rules := t.rules.Load()
	most, d := rules.MaxDuration.Std(), rules.Duration.Std()
	r := t.bans[addr]
	if r == nil {
		return d
	}
	for range r.countAt(now, rules.Decay.Std()) {
		if d *= 2; d >= most {
			return most
		}
	}
	return min(d, most)
}

// ban makes a ban that lasts for d. mu is held.
func (t *table) ban(addr netip.Prefix, d time.Duration, evidence string, now time.Time) *record {
	r := t.bans[addr]
	if r == nil {
		r = t.add(addr, now)
	}
	count := r.countAt(now, t.rules.Load().Decay.Std())
	r.Ban = Ban{Addr: addr, At: after(r.At, now), Since: now, Until: now.Add(d), Count: count, Failure: evidence}
	r.over = false
	r.refused.Store(0)
	t.reschedule(r, r.Until)
	return r
}

// told tells the log and others of a new ban. mu is held.
func (t *table) told(r *record, now time.Time) {
	t.log.Info(t.rules.Load().Mode.word(), slog.String("client", name(r.Addr)), slog.Duration("for", r.Until.Sub(now).Round(time.Second)),
		slog.String("failures", r.Failure), slog.Int("times", max(1, r.Count)))
	t.changed(r.Ban)
	t.enforce(r.Ban)
}

// after returns now by the wall clock, or the next instant after before: the later
// change must count on every node, whatever this one's clock does.
func after(before, now time.Time) time.Time {
	if before, now = before.Round(0), now.Round(0); now.After(before) {
		return now
	}
	return before.Add(1)
}

// add makes room for a record and adds it. mu is held.
func (t *table) add(addr netip.Prefix, now time.Time) *record {
	if len(t.bans) >= t.rules.Load().MaxEntries { // what is looked at next ends soonest
		t.forget(t.queue[0])
	}
	r := &record{Ban: Ban{Addr: addr}, next: now}
	if t.bans[addr] = r; t.lengths(addr.Addr()).count[addr.Bits()] == 0 {
		t.lengths(addr.Addr()).add(addr.Bits(), 1)
	} else {
		t.lengths(addr.Addr()).count[addr.Bits()]++
	}
	heap.Push(&t.queue, r)
	return r
}

// forget takes a record out. mu is held.
func (t *table) forget(r *record) {
	heap.Remove(&t.queue, r.place)
	delete(t.bans, r.Addr)
	if l := t.lengths(r.Addr.Addr()); l.count[r.Addr.Bits()] == 1 {
		l.add(r.Addr.Bits(), -1)
	} else {
		l.count[r.Addr.Bits()]--
	}
}

func (t *table) reschedule(r *record, next time.Time) {
	r.next = next
	heap.Fix(&t.queue, r.place)
}

// succeeded notes that a client was served: its failures are forgotten.
func (t *table) succeeded(ip netip.Addr, now time.Time) {
	addr := t.rules.Load().clientOf(ip)
	t.mu.RLock()
	at, known := t.served.Peek(addr)
	_, failed := t.tallies.Peek(addr)
	t.mu.RUnlock()
	if known && !failed && now.Sub(at) < servedStep {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.served.Add(addr, now)
	t.tallies.Remove(addr)
}

// sweep tells of the bans that have ended, and forgets those that don't count any
// more.
func (t *table) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) > 0 && !now.Before(t.queue[0].next) {
		r := t.queue[0]
		if !r.over && !now.Before(r.Until) {
			r.over = true
			if !r.Lifted {
				t.log.Info("ban ended", slog.String("client", name(r.Addr)), slog.Int64("refused", r.refused.Load()))
			}
		}
		if forget := r.forgetAt(t.rules.Load().Decay.Std()); now.Before(forget) {
			t.reschedule(r, forget)
		} else {
			t.forget(r)
		}
	}
}

// lift takes the ban of an address back. It reports whether there was one.
func (t *table) lift(addr netip.Prefix, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tallies.Remove(addr)
	r := t.bans[addr]
	if r == nil || !r.IsOn(now) {
		return false
	}
	r.At, r.Lifted, r.Count = after(r.At, now), true, 0
	t.log.Info("ban lifted", slog.String("client", name(addr)), slog.Int64("refused", r.refused.Load()))
	t.changed(r.Ban)
	t.enforce(r.Ban)
	return true
}

// byHand is what somebody is banned for whom a person has banned.
const byHand = "by hand"

// impose bans an address or a range because a person says so.
func (t *table) impose(addr netip.Prefix, d time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.ban(addr, d, byHand, now)
	t.told(r, now)
}

// list returns the bans as they are, those too that have ended and still count.
func (t *table) list() []Ban {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]Ban, 0, len(t.bans))
	for _, r := range t.bans {
		b := r.Ban
		b.Refused = r.refused.Load()
		list = append(list, b)
	}
	return list
}

// name returns an address as people write it.
func name(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// queue is a heap of records, the one that is looked at next first.
type queue []*record

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].place, q[j].place = i, j }
func (q *queue) Push(x any)        { r := x.(*record); r.place = len(*q); *q = append(*q, r) }
func (q *queue) Pop() any {
	old := *q
	r := old[len(old)-1]
	*q = old[:len(old)-1]
	return r
}
