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

// clients counts what addresses have. One that has no connection is remembered as long
// as it has come more often than it may for good; beyond a bound the one that was idle
// for the longest is forgotten.
type clients struct {
	mu   sync.Mutex
	busy map[netip.Prefix]*client              // those with connections; guarded by mu, as is idle
	idle *simplelru.LRU[netip.Prefix, *client] // the others, by when they came or left last
}

// client is an address.
type client struct {
	connections int
	rate        *rate.Limiter // nil until there is one
}

func newClients() *clients {
	idle, err := simplelru.NewLRU[netip.Prefix, *client](math.MaxInt, nil) // settle bounds it
	if err != nil {
		panic(err) // it is for a bound below 1 alone
	}
	return &clients{busy: map[netip.Prefix]*client{}, idle: idle}
}

// enter counts one more connection, or returns why it may not be.
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

// admit returns why a client may not have one more connection.
func (c *client) admit(source netip.Prefix, o *Options, now time.Time) error {
	if most := o.ConnectionsPerClient; most > 0 && c.connections >= most {
		return fmt.Errorf("%w: %s has %d connections already", core.ErrDenied, source, c.connections)
	}
	if !allow(&c.rate, o.NewPerSecondPerClient, o, now) {
		return fmt.Errorf("%w: %s opens too many connections a second", core.ErrDenied, source)
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
	c := cs.busy[source]
	if c == nil {
		return // nobody has entered
	}
	c.connections--
	cs.settle(source, c, o, now)
}

// settle puts a client among the busy or the idle ones, or forgets it. mu is held.
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

// isFresh reports whether a client without connections is as one that never came.
func (c *client) isFresh(now time.Time) bool {
	return c.rate == nil || c.rate.TokensAt(now) >= float64(c.rate.Burst())
}

// sweep forgets the idle clients that are as if they had never come.
func (cs *clients) sweep(now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for {
		_, c, ok := cs.idle.GetOldest()
		if !ok || !c.isFresh(now) {
			return // those behind came later
		}
		cs.idle.RemoveOldest()
	}
}
