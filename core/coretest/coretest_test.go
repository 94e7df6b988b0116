package coretest_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPipe(t *testing.T) {
	coretest.TestStream(t, func(testing.TB) (a, b core.Stream) { return coretest.Pipe() })
}

func TestLoopbackPair(t *testing.T) {
	coretest.TestStream(t, func(t testing.TB) (a, b core.Stream) { return coretest.LoopbackPair(t) })
}

func TestNet(t *testing.T) {
	coretest.TestDialer(t, func(testing.TB) core.Dialer { return dial.Net{} })
}

// first is the outbound that lays nothing over its wire.
type first struct{}

func (first) Over(wire core.Dialer) (core.Dialer, error) { return wire, nil }

func TestOutbound(t *testing.T) {
	coretest.TestOutbound(t, func(testing.TB) core.Outbound { return first{} })
}

func TestSystemResolver(t *testing.T) {
	coretest.TestResolver(t, coretest.Names{Known: "localhost"}, func(testing.TB) core.Resolver { return dial.SystemResolver{} })
}

func TestResolver(t *testing.T) {
	names := coretest.Names{Known: "known.test", Missing: "missing.test"}
	coretest.TestResolver(t, names, func(testing.TB) core.Resolver {
		return &coretest.Resolver{Names: map[string][]netip.Addr{"known.test": {netip.MustParseAddr("192.0.2.1")}}}
	})
}

func TestPacketPipe(t *testing.T) {
	coretest.TestPacketConn(t, func(testing.TB) (a, b coretest.PacketEnd) { return coretest.PacketPipe() })
}

func TestObserver(t *testing.T) {
	coretest.TestObserver(t, func(t testing.TB) core.Observer {
		o := new(coretest.Observer)
		t.Cleanup(func() { o.Check(t) })
		return o
	})
}

func TestGate(t *testing.T) {
	coretest.TestGate(t, func(t testing.TB) core.Gate {
		g := new(coretest.Gate)
		t.Cleanup(func() { g.Check(t) })
		return g
	})
}

// plain is the middleware that changes nothing.
type plain struct{ next core.Dialer }

func (plain) Wrap(next core.Dialer) core.Dialer { return plain{next} }

func (p plain) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	c := *r
	return p.next.DialStream(ctx, &c)
}

func (p plain) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	return p.next.OpenPackets(ctx, r)
}

func (p plain) CheckPackets() error { return p.next.CheckPackets() }

func (p plain) PayloadWait(r *core.Request) time.Duration { return p.next.PayloadWait(r) }

func TestMiddleware(t *testing.T) {
	coretest.TestMiddleware(t, func(testing.TB) core.Middleware { return plain{} })
}

// In a bubble an hour of waiting takes no time.
func TestPipeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := coretest.Pipe()
		began := time.Now()
		if err := a.SetReadDeadline(began.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Read(make([]byte, 1)); err == nil || time.Since(began) != time.Hour {
			t.Errorf("read: got %v after %s, want an error after an hour", err, time.Since(began))
		}
		if err := b.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Write(make([]byte, 1<<20)); err == nil || n == 0 || n == 1<<20 {
			t.Errorf("write: got %d, %v, want a part, an error", n, err)
		}
	})
}

// recorder keeps what a kit reports.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestGateCheck(t *testing.T) {
	c := core.Client{Network: "tcp", Inbound: "test"}
	for _, tc := range []struct {
		name   string
		admits int
		events []core.EventKind
		bad    bool
	}{
		{"closed", 1, []core.EventKind{core.Opened, core.Closed}, false},
		{"refused", 1, []core.EventKind{core.Refused}, false},
		{"twice", 2, []core.EventKind{core.HandshakeFailed, core.DialFailed}, false},
		{"no end", 1, nil, true},
		{"opened only", 1, []core.EventKind{core.Opened}, true},
		{"two ends", 1, []core.EventKind{core.Closed, core.Closed}, true},
		{"not admitted", 0, []core.EventKind{core.Refused}, true},
		{"opened and refused", 1, []core.EventKind{core.Opened, core.Refused}, true},
		{"no kind", 1, []core.EventKind{0, core.Closed}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var g coretest.Gate
			for range tc.admits {
				if err := g.Admit(c); err != nil {
					t.Fatal(err)
				}
			}
			for _, k := range tc.events {
				g.Observe(core.Event{Kind: k, Client: c})
			}
			r := &recorder{TB: t}
			g.Check(r)
			if r.failed != tc.bad {
				t.Errorf("reported: got %t, want %t", r.failed, tc.bad)
			}
		})
	}
}

func TestDescription(t *testing.T) {
	sent := core.Targets{Names: core.NamesSent}
	for _, tc := range []struct {
		name      string
		d         core.Description
		component any
		fails     bool
	}{
		{"true", core.Description{Targets: sent, Networks: core.OverTCP | core.OverUDP}, first{}, false},
		{"no UDP", core.Description{Targets: sent, Networks: core.OverTCP}, first{}, true},
		{"no networks", core.Description{Targets: sent}, first{}, true},
		{"no names", core.Description{Networks: core.OverTCP | core.OverUDP}, first{}, true},
		{"nothing", core.Description{}, first{}, true},
		{"a policy", core.Description{}, plain{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &recorder{TB: t}
			if coretest.TestDescription(r, tc.d, core.OverTCP|core.OverUDP, tc.component); r.failed != tc.fails {
				t.Errorf("got failed %t, want %t", r.failed, tc.fails)
			}
		})
	}
}
