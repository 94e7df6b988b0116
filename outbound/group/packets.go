package group

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// OpenPackets opens the association through a member. When that goes out, or its connection
// fails, the next datagram opens another one.
func (d *dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	c := &packets{dialer: d, request: *r, values: withoutDeadline{context.WithoutCancel(ctx)}}
	if r.Flow == nil {
		c.request.Flow = new(core.Flow)
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	w, err := c.open()
	if err != nil {
		return nil, err
	}
	c.way.Store(w)
	return c, nil
}

const (
	failedLife = time.Second // after no member could be opened, none is tried for so long
	fewUp      = 3           // bursts without an answer that say nothing yet
)

// packets is an association through one member at a time.
type packets struct {
	*dialer
	request core.Request
	values  context.Context     // of the request, without its end
	way     atomic.Pointer[way] // nil while there is none

	delivering sync.Mutex // held while the sink is called: an old and a new way share it

	mu     sync.Mutex
	closed bool            // guarded by mu, as all that follows
	sink   core.PacketSink // nil until Receive
	failed time.Time       // until when no member is tried
}

// withoutDeadline hides the deadline of a context: what opens an association does not wait,
// so its attempts need no shares of the time.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

// WritePackets sends datagrams through the member of the association.
func (c *packets) WritePackets(ps []core.Packet) (int, error) {
	w := c.way.Load()
	if w == nil || w.ended.Load() || w.epoch.Load() != c.kept.epoch.Load() {
		var err error
		if w, err = c.renew(len(ps)); w == nil {
			return 0, err
		}
	}
	return c.send(w, ps), nil
}

// renew returns the way of the association, through another member if need be. Without
// one it counts n datagrams as dropped.
func (c *packets) renew(n int) (*way, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	old, epoch := c.way.Load(), c.kept.epoch.Load()
	if old != nil && !old.ended.Load() && c.fits(old.member) {
		old.epoch.Store(epoch)
		return old, nil
	}
	now := time.Now()
	if now.Before(c.failed) {
		c.request.Flow.Drop(core.DropUnreachable, n)
		return nil, nil
	}
	w, err := c.open()
	switch running := old != nil && !old.ended.Load(); {
	case err == nil && running && w.member == old.member: // there is no other
		c.end(w)
		old.epoch.Store(epoch)
		return old, nil
	case err != nil && running:
		old.epoch.Store(epoch)
		return old, nil
	case err != nil:
		c.failed = now.Add(failedLife)
		reason := core.DropUnreachable
		if errors.Is(err, core.ErrDenied) {
			reason = core.DropDenied
		}
		c.request.Flow.Drop(reason, n)
		return nil, nil
	}
	c.way.Store(w)
	if old != nil {
		c.end(old)
	}
	if c.sink != nil {
		w.conn.Receive(c.deliver(w))
	}
	return w, nil
}

// fits reports whether an association may stay with its member.
func (c *packets) fits(m *Member) bool {
	if m.IsOut() {
		return false
	}
	now := c.current.Load()
	return c.options.OnSwitch != "cut" || now == nil || now == m
}

// Receive passes what arrives to sink.
func (c *packets) Receive(sink core.PacketSink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sink = sink
	if w := c.way.Load(); w != nil {
		w.conn.Receive(c.deliver(w))
	}
}

// Close ends the association.
func (c *packets) Close() error {
	c.mu.Lock()
	c.closed = true
	w := c.way.Swap(nil)
	c.mu.Unlock()
	if w == nil {
		return nil
	}
	return c.end(w)
}
