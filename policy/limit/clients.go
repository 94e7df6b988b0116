package limit

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/umbra-proxy/umbra/core"
)

// clients counts what addresses have. One that has no connection is remembered as long
// as it has come more often than it may for good; beyond a bound the one that was idle
// for the longest is forgotten.
type clients struct {
	mu   sync.Mutex
	all  map[netip.Prefix]*client // guarded by mu, as is idle
	idle *list.List               // of netip.Prefix; those without connections, the last one last
}

// client is an address.
type client struct {
	connections int
	rate        *rate.Limiter // nil until there is one
	idle        *list.Element // nil while there are connections
}

func newClients() *clients {
	return &clients{all: map[netip.Prefix]*client{}, idle: list.New()}
}

// enter counts one more connection, or returns why it may not be.
func (cs *clients) enter(ip netip.Addr, o *Options, now time.Time) error {
	source := core.SourceOf(ip)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.all[source]
	if c == nil {
		c = &client{}
		cs.all[source] = c
	}
	err := c.admit(source, o, now)
	if err == nil {
		c.connections++
	}
	cs.settle(source, c, o, now)
	return err
}

// admit returns why a client may not have one more connection.
func (c *client) admit(source netip.Prefix, o *Options, now time.Time) error {
	if most := o.ConnectionsPerClient; most > 0 && c.connections >= most {
		return fmt.Errorf("%w: %s has %d connections already", core.ErrDenied, source, c.connections)
	}
	if !allow(&c.rate, o.NewPerSecondPerClient, o, now) {
		return fmt.Errorf("%w: %s makes too many connections a second", core.ErrDenied, source)
	}
	return nil
}

// allow takes one from a limiter, which it makes or changes to what the options say.
func allow(l **rate.Limiter, perSecond float64, o *Options, now time.Time) bool {
	limit, burst := rate.Limit(perSecond), o.burst(perSecond)
	switch {
	case perSecond == 0:
		*l = nil
		return true
	case *l == nil:
		*l = rate.NewLimiter(limit, burst)
	case (*l).Limit() != limit || (*l).Burst() != burst:
		(*l).SetLimitAt(now, limit)
		(*l).SetBurstAt(now, burst)
	}
	return (*l).AllowN(now, 1)
}

// leave takes back what enter counted.
func (cs *clients) leave(ip netip.Addr, o *Options, now time.Time) {
	source := core.SourceOf(ip)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.all[source]
	if c == nil || c.connections == 0 {
		return // nobody has entered
	}
	c.connections--
	cs.settle(source, c, o, now)
}

// settle puts a client into the list of idle ones, or takes it out. mu is held.
func (cs *clients) settle(source netip.Prefix, c *client, o *Options, now time.Time) {
	if c.idle != nil {
		cs.idle.Remove(c.idle)
		c.idle = nil
	}
	if c.connections > 0 {
		return
	}
	if c.isFresh(now) {
		delete(cs.all, source)
		return
	}
	c.idle = cs.idle.PushBack(source)
	for cs.idle.Len() > o.MaxClients {
		cs.forget(cs.idle.Front())
	}
}

// isFresh reports whether a client without connections is as one that never came.
func (c *client) isFresh(now time.Time) bool {
	return c.rate == nil || c.rate.TokensAt(now) >= float64(c.rate.Burst())
}

// forget forgets an idle client. mu is held.
func (cs *clients) forget(e *list.Element) {
	delete(cs.all, e.Value.(netip.Prefix))
	cs.idle.Remove(e)
}

// sweep forgets the idle clients that are as if they had never come.
func (cs *clients) sweep(now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for e := cs.idle.Front(); e != nil; {
		next := e.Next()
		if !cs.all[e.Value.(netip.Prefix)].isFresh(now) {
			return // those behind came later
		}
		cs.forget(e)
		e = next
	}
}
