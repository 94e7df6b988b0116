package inbound_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/inbound"
)

// An observer is told of every connection once, however it goes, with its reason, its
// path and the times of its steps.
func TestObserverSeesEachOnce(t *testing.T) {
	near := func(f func(far core.Stream)) func(context.Context, *core.Request) (core.Stream, error) {
		return func(context.Context, *core.Request) (core.Stream, error) {
			a, b := coretest.Pipe()
			go f(b)
			return a, nil
		}
	}
	fails := func(err error) func(context.Context, *core.Request) (core.Stream, error) {
		return func(context.Context, *core.Request) (core.Stream, error) { return nil, err }
	}
	ends := near(func(far core.Stream) { _ = far.CloseWrite(); _, _ = far.Read(make([]byte, 1)); far.Close() })
	stays := near(func(core.Stream) {})
	const header = "192.0.2.7:4711\n"
	for _, tc := range []struct {
		name   string
		say    string
		deny   error
		dial   func(context.Context, *core.Request) (core.Stream, error)
		then   func(c *net.TCPConn, p *pipeline.Pipeline) // after the request
		front  bool
		kinds  []core.EventKind
		reason string
	}{
		{"closed in order", "ok\n", nil, ends, func(c *net.TCPConn, _ *pipeline.Pipeline) { _ = c.CloseWrite() }, false,
			[]core.EventKind{core.Connected, core.Opened, core.Closed}, ""},
		{"idle", "ok\n", nil, stays, nil, false, []core.EventKind{core.Connected, core.Opened, core.Closed}, "idle"},
		{"cut by its number", "ok\n", nil, stays, func(_ *net.TCPConn, p *pipeline.Pipeline) {
			coretest.Eventually(t, "a connection", func() bool { return len(p.Connections()) == 1 && p.Connections()[0].State == pipeline.Relaying })
			p.Cut(p.Connections()[0].ID, core.ErrDenied)
		}, false, []core.EventKind{core.Connected, core.Opened, core.Closed}, "denied"},
		{"drained", "ok\n", nil, stays, func(_ *net.TCPConn, p *pipeline.Pipeline) {
			coretest.Eventually(t, "a connection", func() bool { return p.Live() == 1 })
			p.Drain(cancelled(), cancelled())
		}, false, nil, "shutdown"},
		{"the client resets", "ok\n", nil, stays, func(c *net.TCPConn, p *pipeline.Pipeline) {
			coretest.Eventually(t, "a relay", func() bool { return len(p.Connections()) == 1 && p.Connections()[0].State == pipeline.Relaying })
			_ = c.SetLinger(0)
			c.Close()
		}, false, []core.EventKind{core.Connected, core.Opened, core.Closed}, "reset"},
		{"the target refuses", "ok\n", nil, fails(fmt.Errorf("dial: %w", syscall.ECONNREFUSED)), nil, false,
			[]core.EventKind{core.Connected, core.DialFailed}, "refused"},
		{"no such name", "ok\n", nil, fails(&net.DNSError{Err: "no such host", Name: "x.test", IsNotFound: true}), nil, false,
			[]core.EventKind{core.Connected, core.DialFailed}, "name"},
		{"a policy refuses", "ok\n", nil, fails(fmt.Errorf("acl: %w", core.ErrDenied)), nil, false,
			[]core.EventKind{core.Connected, core.Refused}, "denied"},
		{"a gate refuses", "ok\n", core.ErrDenied, nil, nil, false, []core.EventKind{core.Connected, core.Refused}, "denied"},
		{"a wrong password", "no\n", nil, nil, nil, false, []core.EventKind{core.Connected, core.HandshakeFailed}, "auth"},
		{"too few bytes", "o", nil, nil, func(c *net.TCPConn, _ *pipeline.Pipeline) { _ = c.CloseWrite() }, false,
			[]core.EventKind{core.Connected, core.HandshakeFailed}, "other"},
		{"a panic", "panic\n", nil, nil, nil, false, []core.EventKind{core.Connected, core.HandshakeFailed}, "other"},
		{"a front's header is wrong", "nonsense\n", nil, nil, nil, true, []core.EventKind{core.Connected, core.HandshakeFailed}, "other"},
		{"a front's check", "-\nok\n", nil, ends, func(c *net.TCPConn, _ *pipeline.Pipeline) { _ = c.CloseWrite() }, true,
			[]core.EventKind{core.Connected, core.Opened, core.Closed}, ""},
		{"a front's client", header + "ok\n", nil, ends, func(c *net.TCPConn, _ *pipeline.Pipeline) { _ = c.CloseWrite() }, true,
			[]core.EventKind{core.Connected, core.Opened, core.Closed}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gate, seen := &coretest.Gate{Deny: func(core.Client) error { return tc.deny }}, new(coretest.Observer)
			dialer := coretest.NewDialer()
			dialer.Stream = tc.dial
			idle := time.Minute
			if tc.reason == "idle" {
				idle = 80 * time.Millisecond
			}
			p := pipeline.New(pipeline.Config{
				Name: "test", Log: coretest.Log(t), Gates: []core.Gate{gate}, Observers: []core.Observer{seen},
				Dialer: dialer, Path: []string{"outbound.test"}, DialTimeout: coretest.Patience, IdleTimeout: idle,
			})
			edit := func(s *testServer, _ *inbound.ServerConfig) { s.handler = p }
			var s *testServer
			if tc.front {
				s = startBehind(t, new(lineFront), edit)
			} else {
				s = startServer(t, edit)
			}
			c := s.dial(t, tc.say)
			if tc.then != nil {
				tc.then(c, p)
			}
			events := seen.WaitEnds(t, 1)
			c.Close()
			s.drop(t)
			p.Drain(cancelled(), cancelled())
			seen.Check(t)
			gate.Check(t)
			var kinds []core.EventKind
			for _, e := range events {
				kinds = append(kinds, e.Kind)
			}
			if tc.kinds != nil && !slices.Equal(kinds, tc.kinds) {
				t.Errorf("kinds: got %v, want %v", kinds, tc.kinds)
			}
			last := events[len(events)-1]
			if got := last.Reason(); got != tc.reason {
				t.Errorf("reason: got %q (%v), want %q", got, last.Err, tc.reason)
			}
			checkEvent(t, last)
		})
	}
}

// checkEvent checks what an end says beside its kind and reason.
func checkEvent(t *testing.T, e core.Event) {
	t.Helper()
	if e.Pipeline != "test" || e.Client.Network != core.TCP || e.Client.Inbound != "test" || !e.Client.Addr.IsValid() {
		t.Errorf("got pipeline %q, client %+v, want test, TCP and an address", e.Pipeline, e.Client)
	}
	at := e.Stages
	if at.Accepted.IsZero() || at.Ended.Before(at.Accepted) {
		t.Errorf("stages: got %+v, want an end after an accept", at)
	}
	if e.Request == nil {
		return
	}
	if e.Request.Network != core.TCP || !slices.Equal(e.Path, []string{"outbound.test"}) {
		t.Errorf("got network %q, path %q, want tcp, outbound.test", e.Request.Network, e.Path)
	}
	if at.Requested.Before(at.Accepted) || e.Kind == core.Closed && at.Reached.Before(at.Requested) {
		t.Errorf("stages: got %+v, want them in order", at)
	}
}

// cancelled returns a context that has ended.
func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// A client that moves is one connection to an observer, and two that each end once to
// a gate.
func TestObserverSeesMove(t *testing.T) {
	gate, seen := new(coretest.Gate), new(coretest.Observer)
	dialer := coretest.NewDialer()
	dialer.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return new(coretest.Discard), nil }
	p := pipeline.New(pipeline.Config{
		Name: "test", Log: coretest.Log(t), Gates: []core.Gate{gate}, Observers: []core.Observer{seen},
		Dialer: dialer, DialTimeout: time.Second, IdleTimeout: time.Minute,
	})
	from := core.Client{Addr: netip.MustParseAddrPort("192.0.2.1:4711"), Network: core.UDP, Inbound: "test"}
	if err := p.Admit(from); err != nil {
		t.Fatal(err)
	}
	r := &core.Request{ID: 1, Network: core.UDP, Client: from, Flow: new(core.Flow)}
	a := p.HandlePackets(t.Context(), r, accepting{}, nil)
	gate.Deny = func(c core.Client) error {
		if c.Addr.Port() == 13 {
			return core.ErrDenied
		}
		return nil
	}
	if err := a.Move(netip.MustParseAddrPort("198.51.100.1:13")); err == nil {
		t.Error("moved to an address that a gate refuses")
	}
	if err := a.Move(netip.MustParseAddrPort("198.51.100.1:4711")); err != nil {
		t.Error(err)
	}
	if all := p.Connections(); len(all) != 1 || all[0].Client.Addr.String() != "198.51.100.1:4711" {
		t.Errorf("connections: got %+v, want one at its new address", all)
	}
	r.Flow.Cut(core.ErrIdle)
	if err := a.Move(netip.MustParseAddrPort("198.51.100.2:4711")); err == nil {
		t.Error("moved after its end")
	}
	seen.Check(t)
	gate.Check(t)
	events := seen.WaitEnds(t, 1)
	if last := events[len(events)-1]; last.Kind != core.Closed || last.Reason() != "idle" || last.Client.Addr.String() != "198.51.100.1:4711" {
		t.Errorf("end: got %+v", last)
	}
}

// accepting is a client of UDP that takes everything.
type accepting struct{}

func (accepting) Accept() (core.PacketConn, error) { return new(coretest.Discard), nil }
func (accepting) Reject(error)                     {}
