package group

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/chain"
)

// way is an association's way through a member.
type way struct {
	member *Member
	conn   core.PacketConn
	flow   *core.Flow    // of conn; what it chooses and drops counts for the association
	epoch  atomic.Uint32 // of the group, when the member was found to fit
	ended  atomic.Bool   // conn is closed, or will be
	meters chain.Meters  // of the member's chain

	unanswered atomic.Int32 // bursts since the last answer
	since      atomic.Int64 // when the first of them was sent, in Unix nanoseconds
	heard      atomic.Bool  // there was an answer
}

// errMeter marks the end of a way by a meter of its chain, which says nothing of the member.
type errMeter struct{ error }

func (e errMeter) Unwrap() error { return e.error }

// open opens a way through a member.
func (c *packets) open() (*way, error) {
	r := c.request
	r.Flow = c.request.Flow.Branch()
	epoch := c.kept.epoch.Load()
	conn, m, _, err := attempt(c.values, c.dialer, &r, core.Dialer.OpenPackets)
	if err != nil {
		return nil, err
	}
	w := &way{member: m, conn: conn, flow: r.Flow}
	w.epoch.Store(epoch)
	m.health.running.Add(1)
	m.health.release()                   // that a socket opens says nothing of the member
	r.Flow.OnCut(func() { go c.cut(w) }) // it may be cut already, and mu is held
	return w, nil
}

// cut ends a way whose flow was cut: its connection failed, or a meter refused more. The next
// datagram opens another one.
func (c *packets) cut(w *way) {
	if w.ended.Load() {
		return
	}
	cause := w.flow.Cause()
	if _, metered := errors.AsType[errMeter](cause); !metered && judge(c.values, &c.request, cause).counts {
		c.blame([]*failed{{w.member, cause}})
	}
	_ = c.end(w)
}

// end closes a way.
func (c *packets) end(w *way) error {
	if w.ended.Swap(true) {
		return nil
	}
	w.member.health.running.Add(-1)
	err := w.conn.Close()
	w.flow.End()
	return err
}

// send sends datagrams by a way. If that fails, the next ones go another way.
func (c *packets) send(w *way, ps []core.Packet) int {
	if !w.take(ps, chain.Up) || len(ps) == 0 {
		return 0
	}
	target := ps[0].Addr
	n, err := w.conn.WritePackets(ps)
	if err != nil {
		if !w.ended.Load() {
			w.flow.Cut(err)
		}
		return n
	}
	switch sent := w.unanswered.Add(1); {
	case sent == 1:
		w.since.Store(time.Now().UnixNano())
	case sent > fewUp && sent%4 == 0: // the clock is not asked for every burst
		c.wait(w, target)
	}
	return n
}

// wait counts a way without an answer against its member once it has been one for long.
func (c *packets) wait(w *way, target core.Addr) {
	now, since := time.Now(), time.Unix(0, w.since.Load())
	if now.Sub(since) >= silentAfter {
		w.unanswered.Store(0)
		c.told(w.member, w.member.health.keepSilent(now, since, target, c.options.Fall, c.options.Rest.Std()))
	}
}

// hear notes an answer. The first one of a way is a success for a member that is out: that
// the way was opened is none.
func (c *packets) hear(w *way) {
	now := time.Now()
	w.unanswered.Store(0)
	w.member.health.hear(now)
	if !w.heard.Swap(true) && w.member.IsOut() {
		c.told(w.member, w.member.health.succeed(now, c.options.Rise, nil, true))
	}
}

// deliver returns the sink of a way.
func (c *packets) deliver(w *way) core.PacketSink {
	return func(ps []core.Packet) {
		if w.ended.Load() {
			return
		}
		if w.unanswered.Load() != 0 {
			c.hear(w)
		}
		if !w.take(ps, chain.Down) {
			return
		}
		c.delivering.Lock()
		defer c.delivering.Unlock()
		c.sink(ps)
	}
}

// take has the meters of the member's chain count datagrams, and reports whether these may
// pass.
func (w *way) take(ps []core.Packet, d chain.Direction) bool {
	ok, err := w.meters.Take(w.flow, ps, d)
	if err != nil {
		w.flow.Cut(errMeter{err})
	}
	return ok
}
