package pipeline_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

func TestAssociation(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	g.serve(t, s)
	if n := s.Live(); n != 1 || g.accepted != 1 {
		t.Errorf("got %d live, %d accepted, want 1, 1", n, g.accepted)
	}
	g.client.give("a question", "another")
	g.upstream.written(t, "a question", "another")
	g.upstream.give("an answer")
	g.client.written(t, "an answer")
	if up, down := g.request.Flow.Up.Load(), g.request.Flow.Down.Load(); up != 17 || down != 9 {
		t.Errorf("counters: got %d, %d, want 17, 9", up, down)
	}
	g.request.Flow.Cut(io.EOF) // as an inbound does whose client has gone
	g.request.Flow.Cut(core.ErrIdle)
	for _, e := range s.kinds(t, 1, core.Opened, core.Closed) {
		want := g.request.Client
		if e.Client != want || e.Request != g.request || !e.Authenticated || e.Err != nil {
			t.Errorf("%s: got %+v, want client %v, request %p, no error", e.Kind, e, want, g.request)
		}
	}
	if n := s.Live(); n != 0 {
		t.Errorf("live after the end: got %d, want 0", n)
	}
	g.ended(t)
	line := s.log.String()
	for _, want := range []string{"level=DEBUG", `msg="association closed"`, " id=1 ", " inbound=in ", " client=192.0.2.1:4711 ", " up=17 ", " down=9 ", " took=", " user=alice"} {
		if !strings.Contains(line, want) {
			t.Errorf("log: got %q, want %q in it", line, want)
		}
	}
	if strings.Count(line, "\n") != 1 || strings.Contains(line, "question") || strings.Contains(line, "target=") || strings.Contains(line, "err=") {
		t.Errorf("log: got %q, want one line without payload, target or error", line)
	}
}

// One that can't be opened is rejected with the cause, and neither side stays open.
func TestAssociationNotOpened(t *testing.T) {
	errNoRoute := errors.New("no route")
	denied := errors.Join(errors.New("rule 3"), core.ErrDenied)
	dialed := func(err error) func(*stage, *guest) {
		return func(s *stage, _ *guest) {
			s.dialer.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return nil, err }
		}
	}
	for _, tc := range []struct {
		name   string
		spoil  func(*stage, *guest)
		kind   core.EventKind
		err    error
		opened bool // the upstream was
	}{
		{"no way", dialed(errNoRoute), core.DialFailed, errNoRoute, false},
		{"denied", dialed(denied), core.Refused, core.ErrDenied, false},
		{"carries no UDP", dialed(core.ErrNoPackets), core.DialFailed, core.ErrNoPackets, false},
		{"the client fails", func(_ *stage, g *guest) { g.err = core.ErrCrowded }, core.DialFailed, core.ErrCrowded, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStage(t)
			g := s.guest(t)
			tc.spoil(s, g)
			g.serve(t, s)
			if len(g.rejected) != 1 || !errors.Is(g.rejected[0], tc.err) {
				t.Errorf("rejected with: got %v, want %v, once", g.rejected, tc.err)
			}
			if opened := g.upstream.closed == 1; opened != tc.opened || g.upstream.sink != nil {
				t.Errorf("the upstream: got closed %d times, want %t, and no sink", g.upstream.closed, tc.opened)
			}
			for _, e := range s.kinds(t, 1, tc.kind) {
				if !errors.Is(e.Err, tc.err) {
					t.Errorf("the event's error: got %v, want %v", e.Err, tc.err)
				}
			}
			if n := s.Live(); n != 0 {
				t.Errorf("live: got %d, want 0", n)
			}
			g.request.Flow.Cut(core.ErrIdle) // too late to be another end
			s.kinds(t, 1, tc.kind)
		})
	}
}

// Of a burst that is not taken whole, a share of the bytes is counted.
func TestAssociationCountsTaken(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	g.upstream.take, g.client.take = 3, 1
	g.serve(t, s)
	g.client.give("aaaa", "bbbb", "cccc", "dddd")
	g.upstream.give("aaaa", "bb")
	if up, down := g.request.Flow.Up.Load(), g.request.Flow.Down.Load(); up != 12 || down != 3 {
		t.Errorf("counters: got %d, %d, want 12 of 16, 3 of 6", up, down)
	}
	g.request.Flow.Cut(io.EOF)
}

// A flow that was cut before it is served ends in order.
func TestAssociationCutBefore(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	g.request.Flow.Cut(core.ErrCrowded)
	g.serve(t, s)
	if events := s.kinds(t, 1, core.Opened, core.Closed); events[1].Err != core.ErrCrowded {
		t.Errorf("the end: got %v, want %v", events[1].Err, core.ErrCrowded)
	}
	g.ended(t)
}

// The same with connections that have goroutines of their own.
func TestAssociationPipe(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	near, far := coretest.PacketPipe()
	upstream, target := coretest.PacketPipe()
	g.conn = near.Conn
	s.dialer.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return upstream.Conn, nil }
	answers := make(chan string, 1)
	far.Conn.Receive(func(ps []core.Packet) { answers <- string(ps[0].Data) })
	target.Conn.Receive(func(ps []core.Packet) { _, _ = target.Conn.WritePackets(ps) })
	defer target.Conn.Close()
	defer far.Conn.Close()
	g.serve(t, s)
	if n, err := far.Conn.WritePackets([]core.Packet{{Addr: near.Addr, Data: []byte("there and back")}}); n != 1 || err != nil {
		t.Fatalf("write: got %d, %v, want 1, nil", n, err)
	}
	if got := coretest.Await(t, "the answer", answers); got != "there and back" {
		t.Errorf("got %q, want what was sent", got)
	}
	g.request.Flow.Cut(io.EOF)
	if _, err := near.Conn.WritePackets(nil); err == nil {
		t.Error("the client's side is open after the end")
	}
}
