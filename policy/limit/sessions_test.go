package limit

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// udp is a client of a UDP session at an address.
func udp(addr string) core.Client {
	c := from(addr)
	c.Network = core.UDP
	return c
}

// begin has a session begin, which a pipeline with the policy as a gate serves.
func begin(t *testing.T, p *Policy, c core.Client) *core.Request {
	t.Helper()
	if err := p.Admit(c); err != nil {
		t.Fatal(err)
	}
	r := &core.Request{Client: c, Flow: new(core.Flow)}
	p.Observe(core.Event{Kind: core.Opened, Client: c, Request: r})
	return r
}

// over has the session end at an address.
func over(p *Policy, c core.Client, r *core.Request) {
	r.Flow.Cut(core.ErrShutdown)
	p.Observe(core.Event{Kind: core.Closed, Client: c, Request: r})
}

// connections returns the connections that count for an address.
func (cs *clients) connections(c core.Client) int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if known := cs.busy[core.SourceOf(c.Addr.Addr())]; known != nil {
		return known.connections
	}
	return 0
}

func TestSilentSessionMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, coretest.Env(t), Options{ConnectionsPerClient: 3, UDPIdle: option.Timeout(10 * time.Second)})
		run(t, p)
		here := udp("192.0.2.1:1")
		talking := begin(t, p, here)
		time.Sleep(time.Second)
		silent := begin(t, p, here)
		time.Sleep(time.Second)
		younger := begin(t, p, here)
		time.Sleep(8 * time.Second) // the first is the oldest, and not silent
		talking.Flow.Down.Add(1)
		if err := p.Admit(here); !errors.Is(err, core.ErrDenied) {
			t.Fatalf("after 9 s of silence: got %v, want core.ErrDenied", err)
		}
		time.Sleep(time.Second)
		if err := p.Admit(from("192.0.2.1:2")); err != nil {
			t.Fatalf("after 10 s of silence: %v", err)
		}
		if talking.Flow.Cause() != nil || younger.Flow.Cause() != nil || !errors.Is(silent.Flow.Cause(), core.ErrCrowded) {
			t.Errorf("got the causes %v, %v, %v, want core.ErrCrowded for the silent one alone", talking.Flow.Cause(), younger.Flow.Cause(), silent.Flow.Cause())
		}
		over(p, here, silent)
		if n := p.clients.connections(here); n != 3 {
			t.Errorf("got %d connections after the silent one's end, want 3", n)
		}
		over(p, here, talking)
		over(p, here, younger)
		p.Observe(core.Event{Kind: core.Closed, Client: from("192.0.2.1:2")})
		if n := p.clients.connections(here); n != 0 || len(p.clients.sessions) != 0 {
			t.Errorf("got %d connections and %d sessions, want none", n, len(p.clients.sessions))
		}
	})
}

// TestKeptSessions has connections at their limit that give their places to none.
func TestKeptSessions(t *testing.T) {
	for name, tc := range map[string]struct {
		options Options
		client  core.Client
	}{
		"held by TCP":    {Options{ConnectionsPerClient: 2, UDPIdle: option.Timeout(time.Second)}, from("192.0.2.1:1")},
		"off":            {Options{ConnectionsPerClient: 2, UDPIdle: option.Off}, udp("192.0.2.1:1")},
		"over the rate":  {Options{ConnectionsPerClient: 2, UDPIdle: option.Timeout(time.Second), NewPerSecondPerClient: 0.001, NewBurst: 2}, udp("192.0.2.1:1")},
		"a lowered most": {Options{ConnectionsPerClient: 3, UDPIdle: option.Timeout(time.Second)}, udp("192.0.2.1:1")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				env := coretest.Env(t)
				p := policy(t, env, tc.options)
				one, two := begin(t, p, tc.client), begin(t, p, tc.client)
				if tc.options.ConnectionsPerClient == 3 {
					begin(t, p, tc.client)
					tc.options.ConnectionsPerClient = 2
					p = policy(t, env, tc.options)
				}
				time.Sleep(time.Minute)
				if err := p.Admit(tc.client); !errors.Is(err, core.ErrDenied) {
					t.Errorf("got %v, want core.ErrDenied", err)
				}
				if one.Flow.Cause() != nil || two.Flow.Cause() != nil {
					t.Errorf("got the causes %v, %v, want none", one.Flow.Cause(), two.Flow.Cause())
				}
			})
		})
	}
}

// TestMovedSession has a client go on from another address, in every order of events that
// a cut of its session at the same moment makes.
func TestMovedSession(t *testing.T) {
	a, b := udp("192.0.2.1:1"), udp("192.0.2.2:1")
	moved := func(p *Policy, r *core.Request, to netip.AddrPort, client core.Client) {
		p.Observe(core.Event{Kind: core.Moved, Client: client, Request: r, Next: to})
	}
	for name, play := range map[string]func(p *Policy, r *core.Request){
		"then it ends": func(p *Policy, r *core.Request) {
			moved(p, r, b.Addr, a)
			over(p, b, r)
		},
		"its end overtakes the move": func(p *Policy, r *core.Request) {
			over(p, b, r)
			moved(p, r, b.Addr, a)
		},
		"it ended before": func(p *Policy, r *core.Request) {
			over(p, a, r)
			moved(p, r, netip.AddrPort{}, b)
		},
		"the move is told before that end": func(p *Policy, r *core.Request) {
			moved(p, r, netip.AddrPort{}, b)
			over(p, a, r)
		},
	} {
		for _, given := range []string{"", ", its place given"} {
			t.Run(name+given, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := policy(t, coretest.Env(t), Options{ConnectionsPerClient: 1, UDPIdle: option.Timeout(time.Second)})
					r := begin(t, p, a)
					if err := p.Admit(b); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					if given != "" {
						if err := p.Admit(a); err != nil || r.Flow.Cause() == nil {
							t.Fatalf("got %v and the cause %v, want its place", err, r.Flow.Cause())
						}
					}
					play(p, r)
					want := 0
					if given != "" {
						want = 1
					}
					if at, next := p.clients.connections(a), p.clients.connections(b); at != want || next != 0 || len(p.clients.sessions) != 0 {
						t.Errorf("got %d and %d connections and %d sessions, want %d, 0 and 0", at, next, len(p.clients.sessions), want)
					}
				})
			})
		}
	}
	synctest.Test(t, func(t *testing.T) { // it gives its place where it is now
		p := policy(t, coretest.Env(t), Options{ConnectionsPerClient: 1, UDPIdle: option.Timeout(time.Second)})
		r := begin(t, p, a)
		if err := p.Admit(b); err != nil {
			t.Fatal(err)
		}
		moved(p, r, b.Addr, a)
		if begin(t, p, a); r.Flow.Cause() != nil {
			t.Errorf("got the cause %v for a new client at the old address, want none", r.Flow.Cause())
		}
		time.Sleep(time.Second)
		if err := p.Admit(b); err != nil || r.Flow.Cause() == nil {
			t.Errorf("got %v and the cause %v, want its place", err, r.Flow.Cause())
		}
		if over(p, b, r); p.clients.connections(b) != 1 {
			t.Errorf("got %d connections, want 1", p.clients.connections(b))
		}
	})
}

// TestSilentSessionOfUser has a user's sessions make room, through a pipeline.
func TestSilentSessionOfUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, coretest.Env(t), Options{ConnectionsPerUser: 2, UDPIdle: option.Timeout(10 * time.Second)})
		run(t, p)
		client, _, _, talking := associate(t, p)
		_, _, gate, silent := associate(t, p)
		time.Sleep(10 * time.Second)
		client.sink(datagrams(1))
		_, _, _, fresh := associate(t, p)
		if talking.Flow.Cause() != nil || fresh.Flow.Cause() != nil || !errors.Is(silent.Flow.Cause(), core.ErrCrowded) {
			t.Errorf("got the causes %v, %v, %v, want core.ErrCrowded for the silent one alone", talking.Flow.Cause(), fresh.Flow.Cause(), silent.Flow.Cause())
		}
		gate.WaitEnds(t, 1)
		if n := p.users.count("alice"); n != 2 {
			t.Errorf("got %d connections, want 2", n)
		}
		if _, _, gate, _ := associate(t, p); gate.Kinds()[0] != core.Refused {
			t.Errorf("got %v, want one more refused", gate.Kinds())
		}
		talking.Flow.Cut(core.ErrShutdown)
		fresh.Flow.Cut(core.ErrShutdown)
		if n := p.users.count("alice"); n != 0 {
			t.Errorf("got %d connections after the end, want none", n)
		}
	})
}
