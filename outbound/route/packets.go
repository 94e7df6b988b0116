package route

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
)

// Times of one association.
const (
	judgedLife  = 30 * time.Second // for which a target keeps its branch
	failedLife  = 5 * time.Second  // for which a name that was not found, or a branch that did not open, is not tried again
	lookupLimit = 10 * time.Second // of one name
)

// OpenPackets returns a PacketConn that opens each branch when the first datagram takes it.
func (d *dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	names := dial.NamesOf(d.env.Process)
	c := &packets{
		dialer: d, request: r, names: names, most: names.OfAssociation(), values: context.WithoutCancel(ctx),
		ways: make([]*way, len(d.branches)), failed: make([]failure, len(d.branches)), targets: map[core.Addr]*target{},
	}
	return c, nil
}

// packets is an association whose datagrams take the branches of their targets.
type packets struct {
	*dialer
	request *core.Request
	names   *dial.Names
	most    int             // names, from which all bounds on lookups follow
	values  context.Context // of the request, without its deadline

	delivering sync.Mutex // held while the sink is called: branches share it

	mu       sync.Mutex
	closed   bool                  // guarded by mu, as all that follows
	sink     core.PacketSink       // nil until Receive
	ways     []*way                // by branch; nil unless open
	failed   []failure             // by branch
	targets  map[core.Addr]*target // judged a moment ago
	lookups  int                   // under way
	waiting  int                   // bytes of datagrams that wait for lookups
	cancel   context.CancelFunc    // of the lookups; nil until there is one
	lookupIn context.Context
	scratch  [][]core.Packet // by branch, of WritePackets
}

// failure is why a branch is not opened again for a while.
type failure struct {
	until  time.Time
	reason core.DropReason
}

// target is what is known of a target.
type target struct {
	branch  int
	until   time.Time     // when it is judged again
	looking bool          // its name is being looked up
	missing bool          // its name was not found
	waiting []core.Packet // copies of datagrams that wait for the lookup
}

// WritePackets sends each datagram by the branch of its target. Datagrams of one branch keep
// their order.
func (c *packets) WritePackets(ps []core.Packet) (int, error) {
	d, err := c.divide(ps)
	if err != nil {
		return 0, err
	}
	if d.parts == nil {
		return d.kept + c.send(d.way, d.all), nil
	}
	kept := d.kept
	for branch, part := range d.parts {
		kept += c.send(d.ways[branch], part)
	}
	return kept, nil
}

// division is what becomes of a burst.
type division struct {
	kept  int             // datagrams that wait for lookups
	all   []core.Packet   // of one branch, mostly
	way   *way            // of all
	parts [][]core.Packet // by branch, if there are several; nil otherwise
	ways  []*way          // of parts
}

// divide judges a burst, and opens its branches. Rules and outbounds may panic, so mu is
// unlocked by defer: the association is closed then.
func (c *packets) divide(ps []core.Packet) (d division, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return d, net.ErrClosed
	}
	now := time.Now()
	first, same := -1, true // the branch of all datagrams, mostly
	n := 0
	for _, p := range ps {
		branch, ok := c.judgePacket(p, now, &d.kept)
		if !ok {
			continue
		}
		if first < 0 {
			first = branch
		}
		if branch != first && same {
			same = false
			c.scatter(first, ps[:n])
		}
		if same {
			ps[n] = p
			n++
			continue
		}
		c.scatter(branch, []core.Packet{p})
	}
	if same {
		d.all, d.way = ps[:n], c.open(first, now, n)
		return d, nil
	}
	d.parts, c.scratch = c.scratch, nil
	d.ways = make([]*way, len(d.parts))
	for branch, part := range d.parts {
		if len(part) > 0 {
			d.ways[branch] = c.open(branch, now, len(part))
		}
	}
	return d, nil
}

// scatter adds datagrams to those of a branch. mu is held.
func (c *packets) scatter(branch int, ps []core.Packet) {
	if c.scratch == nil {
		c.scratch = make([][]core.Packet, len(c.branches))
	}
	c.scratch[branch] = append(c.scratch[branch], ps...)
}

// judgePacket returns the branch of a datagram. Without one, the datagram was dropped, or
// waits for a lookup and is counted in kept. mu is held.
func (c *packets) judgePacket(p core.Packet, now time.Time, kept *int) (int, bool) {
	t := c.targets[p.Addr]
	if t == nil || !t.looking && now.After(t.until) {
		branch, needs := c.judge(c.request, p.Addr, nil)
		switch {
		case t == nil && !c.room(now):
			if !needs { // judged anew for each datagram
				return branch, true
			}
			c.crowded(p)
			return 0, false
		case t == nil:
			t = new(target)
			c.targets[p.Addr] = t
		}
		t.branch, t.missing, t.until = branch, false, now.Add(judgedLife)
		if needs && !c.lookUp(p.Addr, t) {
			delete(c.targets, p.Addr)
			c.crowded(p)
			return 0, false
		}
	}
	switch {
	case t.looking && len(t.waiting) < c.atOnce() && c.waiting+len(p.Data) <= c.most<<10:
		t.waiting = append(t.waiting, core.Packet{Addr: p.Addr, Data: append([]byte(nil), p.Data...)})
		c.waiting += len(p.Data)
		*kept++
		return 0, false
	case t.looking:
		c.crowded(p)
		return 0, false
	case t.missing:
		c.request.Flow.Drop(core.DropName, 1)
		return 0, false
	}
	return t.branch, true
}

// crowded counts a datagram that the bounds on names drop.
func (c *packets) crowded(p core.Packet) {
	c.names.Dropped(c.request, p.Addr.Name())
	c.request.Flow.Drop(core.DropCrowded, 1)
}

// atOnce returns how many names may be looked up at once, and how many datagrams may wait
// for one.
func (c *packets) atOnce() int { return max(1, c.most/4) }

// room makes room for another target. It returns false if lookups have all of it. mu is
// held.
func (c *packets) room(now time.Time) bool {
	if len(c.targets) < c.remember {
		return true
	}
	var one core.Addr
	for at, t := range c.targets {
		switch {
		case t.looking:
		case now.After(t.until):
			delete(c.targets, at)
		default:
			one = at
		}
	}
	if len(c.targets) >= c.remember && one.IsValid() {
		delete(c.targets, one)
	}
	return len(c.targets) < c.remember
}

// Receive passes what arrives by any branch to sink.
func (c *packets) Receive(sink core.PacketSink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sink = sink
	for _, w := range c.ways {
		if w != nil {
			w.conn.Receive(c.deliver(w))
		}
	}
}

// Close closes all branches and ends the lookups.
func (c *packets) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.cancel != nil {
		c.cancel()
	}
	var open []*way
	for i, w := range c.ways {
		if w != nil {
			open = append(open, w)
			c.ways[i] = nil
		}
	}
	c.mu.Unlock()
	var errs []error
	for _, w := range open {
		errs = append(errs, w.end())
	}
	return errors.Join(errs...)
}
