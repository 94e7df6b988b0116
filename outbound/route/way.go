package route

import (
	"errors"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/chain"
	"github.com/umbra-proxy/umbra/core/panics"
)

// way is an open branch of an association.
type way struct {
	conn   core.PacketConn
	flow   *core.Flow // of conn; what it chooses and drops counts for the association
	opened time.Time
	meters chain.Meters
}

// open returns the way by a branch and opens it if need be. If it can't, it counts n
// datagrams as dropped and returns nil. mu is held.
func (c *packets) open(branch int, now time.Time, n int) *way {
	if branch < 0 || n == 0 {
		return nil
	}
	if w := c.ways[branch]; w != nil {
		return w
	}
	if failed := c.failed[branch]; now.Before(failed.until) {
		c.request.Flow.Drop(failed.reason, n)
		return nil
	}
	part := *c.request
	part.Flow = c.request.Flow.Branch()
	c.note(part.Flow, branch)
	if part.Flow.Recording() {
		c.record(part.Flow, branch, now, 0, nil)
	}
	conn, err := c.branches[branch].OpenPackets(c.values, &part)
	if err != nil {
		part.Flow.End()
		reason := core.DropUnreachable
		if errors.Is(err, core.ErrDenied) {
			reason = core.DropDenied
		}
		c.failed[branch] = failure{now.Add(failedLife), reason}
		c.request.Flow.Drop(reason, n)
		return nil
	}
	w := &way{conn: conn, flow: part.Flow, opened: now}
	c.ways[branch] = w
	part.Flow.OnCut(func() { go c.close(w) }) // it may be cut already, and mu is held
	if c.sink != nil {
		conn.Receive(c.deliver(w))
	}
	return w
}

// send sends datagrams by an open branch. w is nil if the branch is not open. A branch that
// fails is opened again by a later datagram.
func (c *packets) send(w *way, ps []core.Packet) int {
	if w == nil || len(ps) == 0 {
		return 0
	}
	if ok, err := w.meters.Take(w.flow, ps, chain.Up); !ok {
		if err != nil {
			w.flow.Cut(err)
		}
		return 0
	}
	n, err := w.conn.WritePackets(ps)
	if err != nil {
		w.flow.Drop(core.DropUnreachable, len(ps)-n)
		w.flow.Cut(err)
	}
	return n
}

// deliver returns the sink of a way.
func (c *packets) deliver(w *way) core.PacketSink {
	return func(ps []core.Packet) {
		if w.flow.Cause() != nil {
			return
		}
		if ok, err := w.meters.Take(w.flow, ps, chain.Down); !ok {
			if err != nil {
				w.flow.Cut(err)
			}
			return
		}
		c.delivering.Lock()
		defer c.delivering.Unlock()
		c.sink(ps)
	}
}

// shortLife is how long a branch lasts that is opened again at once after its end. One that
// ended sooner rests for as long, so that one that always fails is not opened for each
// datagram.
const shortLife = time.Second

// close closes a way, if it is open.
func (c *packets) close(w *way) {
	c.mu.Lock()
	now := time.Now()
	for i := range c.ways {
		if c.ways[i] != w {
			continue
		}
		c.ways[i] = nil
		if now.Sub(w.opened) < shortLife {
			c.failed[i] = failure{now.Add(shortLife), core.DropUnreachable}
		}
	}
	c.mu.Unlock()
	if err := panics.Call(w.end); err != nil {
		_ = panics.Log(c.env.Log, "branch panicked", err)
	}
}

// end closes the branch, and tells those who count what ran in it.
func (w *way) end() error {
	err := w.conn.Close()
	w.flow.End()
	return err
}
