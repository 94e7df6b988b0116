package coretest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// TestObserver checks that an observer accepts every order of events that a pipeline sends,
// from many goroutines at once and without blocking, and changes nothing that an event points
// to. makeObserver returns a fresh observer that runs, if it has work of its own. The test
// ends what it has begun by t.Cleanup.
func TestObserver(t *testing.T, makeObserver func(t testing.TB) core.Observer) {
	lives := observerLives()
	for _, life := range lives {
		t.Run(life.name, func(t *testing.T) {
			o := makeObserver(t)
			within(t, "the observer's answers", func() {
				for _, network := range []core.Network{core.TCP, core.UDP} {
					observeLife(t, o, life, network)
				}
			})
		})
	}
	t.Run("at once", func(t *testing.T) {
		o := makeObserver(t)
		within(t, "the observer's answers", func() {
			var all sync.WaitGroup
			for worker := range 8 {
				all.Go(func() {
					for i := range 100 {
						observeLife(t, o, lives[(worker+i)%len(lives)], core.TCP)
					}
				})
			}
			all.Wait()
		})
	})
	t.Run("more than anything takes at once", func(t *testing.T) {
		o := makeObserver(t)
		within(t, "the observer's answers", func() {
			for range 20_000 {
				observeLife(t, o, lives[len(lives)-1], core.TCP)
			}
		})
	})
}

// observerLife is what a pipeline sends to an observer about one connection.
type observerLife struct {
	name  string
	kinds []core.EventKind // after Connected
	err   error            // of the end
	edit  func(e *core.Event)
}

// observerLives returns every sort of life. The last one is that of most connections.
func observerLives() []observerLife {
	none := func(*core.Event) {}
	longest, _ := core.NewAddr(strings.Repeat("a_-.", core.MaxName/4)+"a", 65535) // it is valid
	hostile := func(e *core.Event) {
		if e.Request != nil {
			e.Request.User, e.Request.Target = "a\"\n\x1b[31m\u202e\x00\xff</script>", longest
		}
	}
	return []observerLife{
		{"refused by a gate", []core.EventKind{core.Refused}, core.ErrDenied, none},
		{"no request", []core.EventKind{core.HandshakeFailed}, core.Authenticated(core.ErrClock), none},
		{"nothing known of the failure", []core.EventKind{core.HandshakeFailed}, nil, func(e *core.Event) { e.Received = -1 }},
		{"of a balancer", []core.EventKind{core.HandshakeFailed}, core.ErrProxyHeader, func(e *core.Event) { e.Client.Unattributed = true }},
		{"without an address", []core.EventKind{core.HandshakeFailed}, core.ErrShort, func(e *core.Event) { e.Client = core.Client{} }},
		{"refused by a policy", []core.EventKind{core.Refused}, core.ErrDenied, none},
		{"not reached", []core.EventKind{core.DialFailed}, context.DeadlineExceeded, none},
		{"left before the target was reached", []core.EventKind{core.Closed}, core.ErrGone, none},
		{"chosen by a stranger", []core.EventKind{core.Opened, core.Closed}, errors.New("read: \n\x1b[31m"), hostile},
		{"moved", []core.EventKind{core.Opened, core.Moved, core.Closed}, core.ErrIdle, func(e *core.Event) {
			if e.Kind == core.Moved {
				e.Next = netip.MustParseAddrPort("198.51.100.7:4711")
			}
		}},
		{"without a target", []core.EventKind{core.Opened, core.Closed}, nil, func(e *core.Event) {
			if e.Request != nil {
				e.Request.Target = core.Addr{}
			}
		}},
		{"served", []core.EventKind{core.Opened, core.Closed}, nil, none},
	}
}

// observeLife has an observer see one connection.
func observeLife(t testing.TB, o core.Observer, life observerLife, network core.Network) {
	c := core.Client{Addr: netip.MustParseAddrPort("192.0.2.1:4711"), Network: network, Inbound: "test"}
	at := time.Now()
	e := core.Event{Kind: core.Connected, Pipeline: "test", Client: c, Stages: core.Stages{Accepted: at}}
	life.edit(&e)
	o.Observe(e)
	r := &core.Request{
		ID: 1, Network: network, User: "alice", Client: c, Flow: new(core.Flow), Accepted: at, Admitted: at,
		Target: core.AddrFrom(netip.MustParseAddrPort("192.0.2.9:80")),
	}
	path := []string{"outbound.paris", "outbound.tokyo"}
	if s, ok := o.(core.StepObserver); ok && s.WantsSteps() {
		r.Flow.Record()
		r.Flow.Step(core.Step{Kind: core.StepDial, Name: path[0], Began: at, Took: time.Millisecond, Err: life.err})
	}
	if d, ok := o.(core.DropObserver); ok && network == core.UDP {
		d.ObserveDrops(core.Drops{Pipeline: "test", Client: c, Path: path, Dropped: []core.Dropped{{Reason: core.DropFull, Count: 3}}})
	}
	for _, kind := range life.kinds {
		e := core.Event{Kind: kind, Pipeline: "test", Client: c, Stages: core.Stages{Accepted: at}}
		if kind == core.HandshakeFailed {
			e.Received = 7
		} else if life.name != "refused by a gate" {
			e.Request, e.Path, e.Authenticated = r, path, true
			e.Stages.Admitted, e.Stages.Requested, e.Stages.Reached = at, at, at
			_, _ = r.Flow.Take(1000, 2000)
		}
		if kind.Ends() {
			e.Stages.Ended, e.Err = at.Add(time.Second), life.err
		}
		life.edit(&e)
		o.Observe(e)
	}
	if !slices.Equal(path, []string{"outbound.paris", "outbound.tokyo"}) {
		t.Errorf("%s: the observer changed the path to %v", life.name, path)
	}
}
