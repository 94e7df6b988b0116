package coretest

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// TestGate checks that a gate accepts every order of events that a pipeline sends, from
// many goroutines at once and without blocking. makeGate returns a fresh gate that admits
// a new client.
func TestGate(t *testing.T, makeGate func(t testing.TB) core.Gate) {
	client := func(i int, network core.Network) core.Client {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		if i%2 == 1 {
			ip = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 7: byte(i), 15: 1})
		}
		return core.Client{Addr: netip.AddrPortFrom(ip, 4711), Network: network, Inbound: "test"}
	}
	lives := gateLives()
	for _, life := range lives {
		t.Run(life.name, func(t *testing.T) {
			g := makeGate(t)
			within(t, "the gate's answers", func() {
				for i, network := range []core.Network{core.TCP, core.UDP} {
					c := client(i, network)
					if err := g.Admit(c); err != nil {
						t.Errorf("first admit of %v: %v", c, err)
						continue
					}
					life.run(g, c)
				}
			})
			measuredBy(t, g)
		})
	}
	t.Run("at once", func(t *testing.T) {
		g := makeGate(t)
		within(t, "the gate's answers", func() {
			var all sync.WaitGroup
			for worker := range 8 {
				all.Go(func() {
					for i := range 100 {
						c := client(i%16, core.TCP)
						if g.Admit(c) == nil {
							lives[(worker+i)%len(lives)].run(g, c)
						}
					}
				})
			}
			all.Wait()
		})
		measuredBy(t, g)
	})
	t.Run("a client without an address", func(t *testing.T) {
		g := makeGate(t)
		if g.Admit(core.Client{}) == nil { // must not panic
			g.Observe(core.Event{Kind: core.HandshakeFailed, Err: core.ErrShort})
		}
	})
}

// gateLife is the sequence of events that a pipeline sends to a gate about one admitted
// client.
type gateLife struct {
	name string
	run  func(g core.Gate, c core.Client)
}

// gateLives returns every kind of sequence.
func gateLives() []gateLife {
	req := func(c core.Client) *core.Request {
		return &core.Request{
			ID: 1, User: "alice", Client: c, Flow: new(core.Flow),
			Target: core.AddrFrom(netip.MustParseAddrPort("192.0.2.1:80")),
		}
	}
	var lives []gateLife
	for _, err := range []error{core.ErrShort, core.ErrAuth, core.ErrReplay, core.ErrClock, core.ErrMalformed, core.ErrUntrusted, context.DeadlineExceeded} {
		for _, wrapped := range []bool{false, true} {
			cause, name := err, "handshake failed: "+err.Error()
			if wrapped {
				cause, name = core.Authenticated(err), name+", authenticated"
			}
			lives = append(lives, gateLife{name, func(g core.Gate, c core.Client) {
				g.Observe(core.Event{Kind: core.HandshakeFailed, Client: c, Authenticated: wrapped, Err: cause})
			}})
		}
	}
	for _, kind := range []core.EventKind{core.Refused, core.DialFailed} {
		lives = append(lives, gateLife{kind.String(), func(g core.Gate, c core.Client) {
			g.Observe(core.Event{Kind: kind, Client: c, Request: req(c), Authenticated: true, Err: core.ErrDenied})
		}})
	}
	lives = append(lives, gateLife{"moved", func(g core.Gate, c core.Client) {
		next, r := c, req(c)
		next.Addr = netip.AddrPortFrom(c.Addr.Addr(), c.Addr.Port()+1)
		if g.Admit(next) != nil {
			next = c
		} else {
			g.Observe(core.Event{Kind: core.Moved, Client: c, Next: next.Addr, Request: r, Authenticated: true})
		}
		g.Observe(core.Event{Kind: core.Closed, Client: next, Request: r, Authenticated: true})
	}})
	lives = append(lives, gateLife{"refused by a later gate", func(g core.Gate, c core.Client) {
		g.Observe(core.Event{Kind: core.Refused, Client: c, Err: core.ErrDenied})
	}})
	for _, err := range []error{nil, core.ErrIdle, core.ErrAuth, errors.New("reset")} {
		name := "closed in order"
		if err != nil {
			name = "closed: " + err.Error()
		}
		lives = append(lives, gateLife{name, func(g core.Gate, c core.Client) {
			r := req(c)
			g.Observe(core.Event{Kind: core.Opened, Client: c, Request: r, Authenticated: true})
			r.Flow.Up.Store(1000)
			g.Observe(core.Event{Kind: core.Closed, Client: c, Request: r, Authenticated: true, Err: err})
		}})
	}
	return lives
}
