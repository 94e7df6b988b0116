package impair

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// lane carries one client's datagrams in one direction. They wait in a queue, ordered by the time
// at which they are due, and one goroutine sends them.
type lane struct {
	PacketDirection
	tally *tally
	send  func([]byte) error
	wake  chan struct{} // capacity 1; full if run has not handled the last change

	mu    sync.Mutex
	rand  *rand.Rand // guarded by mu, as are the fields below
	queue []*parcel  // by due, then in the order of put
	held  []*parcel  // the queued parcels that the next datagram overtakes
}

// parcel is a datagram in transit.
type parcel struct {
	data []byte // immutable: copies share it
	due  time.Time
}

func newLane(d PacketDirection, t *tally, r *rand.Rand, send func([]byte) error) *lane {
	if d.Hold == 0 {
		d.Hold = defaultHold
	}
	return &lane{PacketDirection: d, tally: t, rand: r, send: send, wake: make(chan struct{}, 1)}
}

// put copies one datagram into the lane, and decides how it is disturbed.
func (l *lane) put(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.chance(l.Loss) {
		l.tally.add(Counts{Came: 1, Lost: 1})
		return
	}
	count := Counts{Came: 1}
	p = slices.Clone(p)
	if len(p) > 0 && l.chance(l.Corrupt) {
		count.Corrupted = 1
		p[l.rand.IntN(len(p))] ^= 1 << l.rand.IntN(8)
	}
	now := time.Now()
	parcels := []*parcel{l.parcel(p, now)}
	if l.chance(l.Duplicate) {
		count.Duplicated = 1
		parcels = append(parcels, l.parcel(p, now))
	}
	hold := l.chance(l.Reorder) // always drawn, so that the random sequence does not depend on time
	if hold && len(l.held) == 0 {
		count.Held = 1
		l.hold(parcels)
	} else {
		l.enter(parcels)
		l.release(parcels[0].due)
	}
	l.tally.add(count) // before sending, so that a test that receives the datagram finds it counted
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// chance returns true for a share of its calls. mu is held, as in the functions below.
func (l *lane) chance(share float64) bool { return share > 0 && l.rand.Float64() < share }

// parcel returns p, which arrived now, as a parcel that is due after the delay.
func (l *lane) parcel(p []byte, now time.Time) *parcel {
	delay := l.Delay
	if l.Jitter > 0 {
		delay += time.Duration(l.rand.Int64N(int64(l.Jitter) + 1))
	}
	return &parcel{data: p, due: now.Add(delay)}
}

// enter adds parcels to the queue, after those that are due at the same time.
func (l *lane) enter(parcels []*parcel) {
	for _, p := range parcels {
		at := len(l.queue)
		for at > 0 && l.queue[at-1].due.After(p.due) {
			at--
		}
		l.queue = slices.Insert(l.queue, at, p)
	}
}

// hold queues parcels to go out late.
func (l *lane) hold(parcels []*parcel) {
	for _, p := range parcels {
		p.due = p.due.Add(l.Hold)
	}
	l.enter(parcels)
	l.held = parcels
}

// release makes held parcels due at their original time, but after the parcel that is due at
// next.
func (l *lane) release(next time.Time) {
	for _, p := range l.held {
		at := slices.Index(l.queue, p)
		l.queue = slices.Delete(l.queue, at, at+1)
		if p.due = p.due.Add(-l.Hold); p.due.Before(next) {
			p.due = next
		}
		l.enter([]*parcel{p})
	}
	l.held = nil
}

// run sends due parcels until done closes.
func (l *lane) run(done <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case <-timer.C:
		case <-l.wake:
		}
		p, wait := l.next()
		for ; p != nil; p, wait = l.next() {
			l.note(p)
			_ = l.send(p) // a datagram that can't be sent counts as lost
		}
		if wait > 0 {
			timer.Reset(wait)
		}
	}
}

// note counts and records a parcel before it is sent, as flow.keep does.
func (l *lane) note(p []byte) {
	l.tally.add(Counts{Out: 1})
	if l.Record {
		l.tally.keep(p)
	}
}

// next removes the first parcel from the queue if it is due. Otherwise it returns nil and the time
// until it is due, or nil and 0 for an empty queue.
func (l *lane) next() (p []byte, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil, 0
	}
	first := l.queue[0]
	if wait = time.Until(first.due); wait > 0 {
		return nil, wait
	}
	l.queue = slices.Delete(l.queue, 0, 1)
	l.held = slices.DeleteFunc(l.held, func(p *parcel) bool { return p == first })
	return first.data, 0
}
