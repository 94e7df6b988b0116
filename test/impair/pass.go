package impair

import (
	"slices"
	"time"
)

// pass sends one datagram as the direction says.
func (r *PacketRelay) pass(l *lane, d PacketDirection, data []byte, send func([]byte)) {
	r.mu.Lock()
	l.counts.Came++
	if r.chance(d.Loss) {
		l.counts.Lost++
		r.mu.Unlock()
		return
	}
	data = slices.Clone(data)
	if len(data) > 0 && r.chance(d.Corrupt) {
		l.counts.Corrupted++
		data[r.rand.IntN(len(data))] ^= 1 << r.rand.IntN(8)
	}
	copies := 1
	if r.chance(d.Duplicate) {
		l.counts.Duplicated++
		copies = 2
	}
	hold := r.chance(d.Reorder)
	delays := make([]time.Duration, copies)
	for i := range delays {
		delays[i] = d.Delay
		if d.Jitter > 0 {
			delays[i] += time.Duration(r.rand.Int64N(int64(d.Jitter)))
		}
	}
	r.mu.Unlock()
	for _, delay := range delays {
		out := func() {
			r.note(l, d, data)
			send(data)
		}
		switch {
		case hold:
			r.hold(l, out)
			hold = false
		case delay > 0:
			r.later(delay, func() { out(); r.release(l) })
		default:
			out()
			r.release(l)
		}
	}
}

// chance reports true in a share of all calls. mu is held.
func (r *PacketRelay) chance(share float64) bool { return share > 0 && r.rand.Float64() < share }

// note counts and records what goes out.
func (r *PacketRelay) note(l *lane, d PacketDirection, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.counts.Out++
	if d.Record {
		l.recorded = append(l.recorded, data)
	}
}

// hold keeps a datagram back until the next one has gone out, or for a while. One
// that is held already goes out first.
func (r *PacketRelay) hold(l *lane, out func()) {
	r.release(l)
	r.mu.Lock()
	l.counts.Held++
	l.held = out
	r.mu.Unlock()
	r.later(holdTime, func() { r.release(l) })
}

// release sends the datagram that is held back, if there is one.
func (r *PacketRelay) release(l *lane) {
	r.mu.Lock()
	out := l.held
	l.held = nil
	r.mu.Unlock()
	if out != nil {
		out()
	}
}

// later calls f after a while, unless the test ends first.
func (r *PacketRelay) later(d time.Duration, f func()) {
	r.running.Go(func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			f()
		case <-r.done:
		}
	})
}
