package route

import (
	"context"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/panics"
)

// lookUp begins to look the name of a target up, and returns false if too many are looked up
// already. mu is held.
func (c *packets) lookUp(at core.Addr, t *target) bool {
	if c.lookups >= c.atOnce() {
		return false
	}
	if c.cancel == nil {
		c.lookupIn, c.cancel = context.WithCancel(core.ForRequest(context.Background(), c.request))
	}
	c.lookups++
	t.looking = true
	go c.find(c.lookupIn, at, t)
	return true
}

// find looks a name up and sends the datagrams that wait for that.
func (c *packets) find(ctx context.Context, at core.Addr, t *target) {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	var ips []netip.Addr
	panicked := panics.Call(func() (err error) {
		ips, err = dial.LookUp(ctx, c.request.Flow, c.asks, c.resolver, at.Name())
		if err != nil {
			ips = nil
		}
		return nil // a name that is not found loses its datagrams, as a network does
	})
	if late := panics.Call(func() error { // a rule may panic, and so may what it leads to
		waiting, w := c.found(at, t, ips)
		c.send(w, waiting)
		return nil
	}); panicked == nil {
		panicked = late
	}
	if panicked != nil && c.request.Flow != nil {
		c.request.Flow.Cut(panicked)
	}
}

// found ends a lookup. It returns the datagrams that waited and the branch that they take.
func (c *packets) found(at core.Addr, t *target, ips []netip.Addr) ([]core.Packet, *way) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookups--
	waiting := t.waiting
	t.waiting, t.looking = nil, false
	for _, p := range waiting {
		c.waiting -= len(p.Data)
	}
	now := time.Now()
	if len(ips) == 0 {
		t.missing, t.until = true, now.Add(failedLife)
		if !c.closed {
			c.request.Flow.Drop(core.DropName, len(waiting))
		}
		return nil, nil
	}
	t.branch, _ = c.judge(c.request, at, ips)
	t.until = now.Add(judgedLife)
	if c.closed {
		return nil, nil
	}
	return waiting, c.open(t.branch, now, len(waiting))
}
