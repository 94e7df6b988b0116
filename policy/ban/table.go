package ban

import (
	"container/heap"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/umbra-proxy/umbra/core"
)

const (
	// servedFactor multiplies the number of failures allowed to a client that was
	// served within the last day: other clients may share its address, and bytes get
	// damaged on the way.
	servedFactor = 10
	servedFor    = 24 * time.Hour
	// servedStep is the resolution of the time at which a client was last served.
	servedStep = time.Minute
)

// Ban is the latest ban of one client, or of a range that the operator has banned,
// with the number of earlier bans.
type Ban struct {
	Addr    netip.Prefix
	At      time.Time // of the last change
	Since   time.Time // when the last ban began
	Until   time.Time // when the last ban ends, or ended
	Count   int       // number of bans, at Until, that determines the next duration
	Failure string    // the cause, such as "auth 2, replay 1"
	Lifted  bool      // the operator removed the ban
	Refused int64     // connections that this node refused
}

// IsActive reports whether the ban holds.
func (b Ban) IsActive(now time.Time) bool { return !b.Lifted && now.Before(b.Until) }

// countAt returns the number of bans that count at a time: one less for each decay
// since the end of the last ban.
func (b Ban) countAt(now time.Time, decay time.Duration) int {
	return int(max(0, int64(b.Count)-int64(max(0, now.Sub(b.Until))/decay)))
}

// forgetAt returns the time after which the ban no longer affects later bans.
func (b Ban) forgetAt(decay time.Duration) time.Time {
	return b.Until.Add(time.Duration(max(1, b.Count)) * decay)
}

// record is a Ban in the table.
type record struct {
	Ban
	refused atomic.Int64
	ended   bool      // the end of the ban has been logged
	holds   bool      // counted in table.holding
	next    time.Time // when sweep handles the record next
	index   int       // in the queue
}

// table holds the bans, and the failures and successes of clients that lead to them.
type table struct {
	rules    atomic.Pointer[rules]
	log      *slog.Logger
	began    time.Time
	tooWide  core.Alarm            // for bans of the store that are refused
	inKernel chan struct{}         // a semaphore, held by the runKernel that owns the rules; capacity 1
	made     [causes]atomic.Uint64 // bans, by their cause
	refused  atomic.Uint64         // connections

	mu      sync.RWMutex
	changed func(b Ban)     // sends a change made on this node to the store; guarded by mu
	enforce func(b Ban)     // sends any change to the kernel; guarded by mu
	tallies list[*tally]    // guarded by mu, as all that follows
	served  list[time.Time] // when each client was last served
	bans    map[netip.Prefix]*record
	queue   queue
	holding int // active bans; those that have ended count until the next sweep
	v4, v6  lengths
}

// rules are the options with the weights in points.
type rules struct {
	Options
	weights [reasons]int
}

// list is a bounded map of addresses. Beyond the bound the entry that was added
// longest ago is removed. Only Peek may be called while mu is held for reading.
type list[V any] = *simplelru.LRU[netip.Prefix, V]

// newList returns a list for up to most entries, at least 1.
func newList[V any](most int) list[V] {
	l, err := simplelru.NewLRU[netip.Prefix, V](most, nil)
	if err != nil {
		panic(err) // only for a bound below 1
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

// configure applies the options of the generation that now serves.
func (t *table) configure(r *rules, changed func(Ban)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.rules.Swap(r); old.Window != r.Window { // the tallies count in parts of the window
		t.tallies = newList[*tally](r.MaxEntries)
	}
	t.changed = changed
	t.tallies.Resize(r.MaxEntries)
	t.served.Resize(r.MaxEntries)
}

// banned returns the ban that holds for a client, and counts the refusal.
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
			if r := t.bans[p]; r != nil && r.IsActive(now) {
				return r
			}
		}
	}
	return nil
}

// lengths are the lengths of the banned prefixes of one address family.
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

// lengths returns the prefix lengths of an address's family. mu is held.
func (t *table) lengths(ip netip.Addr) *lengths {
	if ip.Is4() {
		return &t.v4
	}
	return &t.v6
}

// failed counts a failure, and bans the client if it has reached the limit.
func (t *table) failed(ip netip.Addr, why reason, now time.Time) {
	rules := t.rules.Load()
	if rules.weights[why] == 0 || rules.exempts(ip) {
		return
	}
	addr := rules.clientOf(ip)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(ip, now) != nil {
		return // the connection began before the ban
	}
	c, ok := t.tallies.Peek(addr)
	if !ok {
		c = new(tally)
	}
	c.add(why, rules.weights[why], now.Sub(t.began), rules.Window.Std())
	t.tallies.Add(addr, c)
	allowed := rules.Failures
	if at, ok := t.served.Peek(addr); ok && now.Sub(at) < servedFor {
		allowed *= servedFactor
	}
	if c.sum() < allowed*point {
		return
	}
	t.tallies.Remove(addr)
	r := t.ban(addr, t.durationOf(addr, now), c.evidence(), now)
	t.made[c.mostly()].Add(1)
	r.Count++
	t.announce(r, now)
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

// ban sets a ban of addr that lasts for d. mu is held.
func (t *table) ban(addr netip.Prefix, d time.Duration, evidence string, now time.Time) *record {
	r := t.bans[addr]
	if r == nil {
		r = t.add(addr, now)
	}
	count := r.countAt(now, t.rules.Load().Decay.Std())
	r.Ban = Ban{Addr: addr, At: after(r.At, now), Since: now, Until: now.Add(d), Count: count, Failure: evidence}
	r.ended = false
	r.refused.Store(0)
	t.hold(r, true)
	t.reschedule(r, r.Until)
	return r
}

// announce logs a new ban and sends it to the store and the kernel. mu is held.
func (t *table) announce(r *record, now time.Time) {
	t.logBan(r.Ban, now)
	t.changed(r.Ban)
	t.enforce(r.Ban)
}

// after returns now by the wall clock, or the next instant after before if that is
// later: a later change must have a later time on every node, even if this node's
// clock was set back.
func after(before, now time.Time) time.Time {
	if before, now = before.Round(0), now.Round(0); now.After(before) {
		return now
	}
	return before.Add(1)
}

// add adds a record, and removes another one if the table is full. mu is held.
func (t *table) add(addr netip.Prefix, now time.Time) *record {
	if len(t.bans) >= t.rules.Load().MaxEntries { // the head of the queue expires first
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

// forget removes a record. mu is held.
func (t *table) forget(r *record) {
	t.hold(r, false)
	heap.Remove(&t.queue, r.index)
	delete(t.bans, r.Addr)
	if l := t.lengths(r.Addr.Addr()); l.count[r.Addr.Bits()] == 1 {
		l.add(r.Addr.Bits(), -1)
	} else {
		l.count[r.Addr.Bits()]--
	}
}

func (t *table) reschedule(r *record, next time.Time) {
	r.next = next
	heap.Fix(&t.queue, r.index)
}

// succeeded records that a client was served, and clears its failures.
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

// sweep logs the bans that have ended, and removes those that no longer count.
func (t *table) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) > 0 && !now.Before(t.queue[0].next) {
		r := t.queue[0]
		if !r.ended && !now.Before(r.Until) {
			r.ended = true
			t.hold(r, false)
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

// lift removes the ban of an address. It reports whether the ban was active.
func (t *table) lift(addr netip.Prefix, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tallies.Remove(addr)
	r := t.bans[addr]
	if r == nil || !r.IsActive(now) {
		return false
	}
	r.At, r.Lifted, r.Count = after(r.At, now), true, 0
	t.hold(r, false)
	t.log.Info("ban lifted", slog.String("client", name(addr)), slog.Int64("refused", r.refused.Load()))
	t.changed(r.Ban)
	t.enforce(r.Ban)
	return true
}

// byHand is the Failure of a ban that the operator imposed.
const byHand = "by hand"

// impose bans an address or a range by command of the operator.
func (t *table) impose(addr netip.Prefix, d time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.ban(addr, d, byHand, now)
	t.made[hand].Add(1)
	t.announce(r, now)
}

// list returns a copy of all bans, including ended ones that still count.
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

// name returns a prefix for display: a single address without its length.
func name(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// queue is a heap of records, ordered by next.
type queue []*record

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }
func (q *queue) Push(x any)        { r := x.(*record); r.index = len(*q); *q = append(*q, r) }
func (q *queue) Pop() any {
	old := *q
	r := old[len(old)-1]
	*q = old[:len(old)-1]
	return r
}
