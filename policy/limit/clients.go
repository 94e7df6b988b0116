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

	refused refusals

	sessions map[*core.Flow]*session // the UDP sessions of all clients, and those whose place is given but whose end was not seen yet
}

// client is the state of an address.
type client struct {
	connections int
	sessions    sessions      // of the connections, the UDP sessions
	rate        *rate.Limiter // of new connections; nil until the first
}

func newClients() *clients {
	idle, err := simplelru.NewLRU[netip.Prefix, *client](math.MaxInt, nil) // settle bounds it
	if err != nil {
		panic(err) // only for a bound below 1
	}
	return &clients{busy: map[netip.Prefix]*client{}, idle: idle, sessions: map[*core.Flow]*session{}}
}

// enter counts one more connection, or returns an error if a limit is reached. At the limit
// on connections the new one may have the place of a silent UDP session, whose flow the
// caller cuts.
func (cs *clients) enter(ip netip.Addr, o *Options, now time.Time) (cut *core.Flow, err error) {
	source := core.SourceOf(ip)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c, ok := cs.busy[source]
	if !ok {
		if c, ok = cs.idle.Peek(source); !ok {
			c = &client{}
		}
	}
	silent, why, err := c.admit(source, o, now)
	switch {
	case err != nil:
		cs.refused[why].Add(1)
	case silent != nil:
		silent.given, cut = true, silent.flow
		c.sessions.remove(cut)
	default:
		c.connections++
	}
	cs.settle(source, c, o, now)
	return cut, err
}

// admit returns an error if the client may not have one more connection. It returns the
// UDP session that must give its place, if one must.
func (c *client) admit(source netip.Prefix, o *Options, now time.Time) (silent *session, why refusal, err error) {
	if most := o.ConnectionsPerClient; most > 0 && c.connections >= most {
		if c.connections == most {
			silent = c.sessions.idle(o.UDPIdle.Std(), now)
		}
		if silent == nil {
			return nil, clientConnections, fmt.Errorf("%w by policy: %s has %d connections already", core.ErrDenied, source, c.connections)
		}
	}
	if !allow(&c.rate, o.NewPerSecondPerClient, o, now) {
		return nil, clientRate, fmt.Errorf("%w by policy: %s opens too many connections a second", core.ErrDenied, source)
	}
	return silent, 0, nil
}

// follow notes that a connection of an address is a UDP session, which may give its place.
func (cs *clients) follow(ip netip.Addr, f *core.Flow, now time.Time) {
	source := core.SourceOf(ip)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	// The end of a flow that was cut may have been seen already.
	if c := cs.busy[source]; c != nil && f.Cause() == nil {
		s := c.sessions.add(f, now)
		s.source, cs.sessions[f] = source, s
	}
}

// end removes a connection that enter has counted for an address, unless it is a UDP session
// that has given its place there.
func (cs *clients) end(ip netip.Addr, f *core.Flow, o *Options, now time.Time) {
	source := core.SourceOf(ip)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if s := cs.sessions[f]; s != nil && s.source == source { // else it moves, and that event comes
		delete(cs.sessions, f)
		if s.given {
			return
		}
		if c := cs.busy[source]; c != nil {
			c.sessions.remove(f)
		}
	}
	cs.drop(source, o, now)
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
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.drop(core.SourceOf(ip), o, now)
}

// drop removes a connection of a client. mu is held.
func (cs *clients) drop(source netip.Prefix, o *Options, now time.Time) {
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

// sweep looks at the UDP sessions and removes the idle clients without state.
func (cs *clients) sweep(now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, s := range cs.sessions {
		s.look(now)
	}
	for {
		_, c, ok := cs.idle.GetOldest()
		if !ok || !c.isFresh(now) {
			return // the clients after this one are more recent
		}
		cs.idle.RemoveOldest()
	}
}
