package limit

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/umbra-proxy/umbra/core"
)

// clients counts the connections of addresses. A client without connections is kept
// until its rate limiter has recovered. Beyond max_clients the client that has been
// idle the longest is removed.
type clients struct {
	mu   sync.Mutex
	busy map[netip.Prefix]*client              // clients with connections; guarded by mu, as is idle
	idle *simplelru.LRU[netip.Prefix, *client] // clients without, by their last arrival or end
}

// client is the state of an address.
type client struct {
	connections int
	rate        *rate.Limiter // of new connections; nil until the first
}

func newClients() *clients {
	idle, err := simplelru.NewLRU[netip.Prefix, *client](math.MaxInt, nil) // settle bounds it
	if err != nil {
		panic(err) // only for a bound below 1
	}
	return &clients{busy: map[netip.Prefix]*client{}, idle: idle}
}

// enter counts one more connection, or returns an error if a limit is reached.
func (cs *clients) enter(ip netip.Addr, o *Options, now time.Time) error {
	source := core.SourceOf(ip)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c, ok := cs.busy[source]
	if !ok {
		if c, ok = cs.idle.Peek(source); !ok {
			c = &client{}
		}
	}
	err := c.admit(source, o, now)
	if err == nil {
		c.connections++
	}
	cs.settle(source, c, o, now)
	return err
}

// admit returns an error if the client may not have one more connection.
func (c *client) admit(source netip.Prefix, o *Options, now time.Time) error {
	if most := o.ConnectionsPerClient; most > 0 && c.connections >= most {
		return fmt.Errorf("%w by policy: %s has %d connections already", core.ErrDenied, source, c.connections)
	}
	if !allow(&c.rate, o.NewPerSecondPerClient, o, now) {
		return fmt.Errorf("%w by policy: %s opens too many connections a second", core.ErrDenied, source)
	}
	return nil
}

// allow takes one event from a limiter, which it first creates or adjusts to the
// options.
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

// leave removes a connection that enter has counted.
func (cs *clients) leave(ip netip.Addr, o *Options, now time.Time) {
	source := core.SourceOf(ip)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.busy[source]
	if c == nil {
		return // enter has counted no connection of this address
	}
	c.connections--
	cs.settle(source, c, o, now)
}

// settle moves a client to busy or idle, or removes it. mu is held.
func (cs *clients) settle(source netip.Prefix, c *client, o *Options, now time.Time) {
	switch {
	case c.connections > 1:
	case c.connections == 1:
		cs.idle.Remove(source)
		cs.busy[source] = c
	case c.isFresh(now):
		cs.idle.Remove(source)
		delete(cs.busy, source)
	default:
		delete(cs.busy, source)
		cs.idle.Add(source, c)
		for cs.idle.Len() > o.MaxClients {
			cs.idle.RemoveOldest()
		}
	}
}

// isFresh reports whether a client without connections has no state left: its rate
// limiter is full.
func (c *client) isFresh(now time.Time) bool {
	return c.rate == nil || c.rate.TokensAt(now) >= float64(c.rate.Burst())
}

// sweep removes the idle clients without state.
func (cs *clients) sweep(now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for {
		_, c, ok := cs.idle.GetOldest()
		if !ok || !c.isFresh(now) {
			return // the clients after this one are more recent
		}
		cs.idle.RemoveOldest()
	}
}
