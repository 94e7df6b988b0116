package pipeline_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Where a meter asks for a wait, what comes in its direction meanwhile is lost,
// and not counted.
func TestAssociationMeterWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		g := s.guest(t)
		fast, m := &slow{wait: time.Second}, &slow{wait: 3 * time.Second}
		g.request.Flow.Use(fast)
		g.request.Flow.Use(m)
		g.serve(t, s)
		g.client.give("one")
		g.upstream.written(t, "one")
		time.Sleep(3*time.Second - 1)
		g.client.give("dropped")
		g.upstream.written(t)
		g.upstream.give("down") // the other direction does not wait
		g.client.written(t, "down")
		time.Sleep(time.Nanosecond)
		g.client.give("two")
		g.upstream.written(t, "two")
		if m.up != 6 || m.down != 4 || fast.up != 6 || fast.down != 4 {
			t.Errorf("meters: got %d and %d up, %d and %d down, want 6, 4", m.up, fast.up, m.down, fast.down)
		}
		g.request.Flow.Cut(io.EOF)
		s.kinds(t, 1, core.Opened, core.Closed)
	})
}

func TestAssociationMeterEnds(t *testing.T) {
	errQuota := errors.New("quota")
	s := newStage(t)
	g := s.guest(t)
	g.request.Flow.Use(&slow{err: errQuota})
	g.serve(t, s)
	g.client.give("last")
	g.upstream.written(t, "last")
	if events := s.kinds(t, 1, core.Opened, core.Closed); events[1].Err != errQuota {
		t.Errorf("the end: got %v, want %v", events[1].Err, errQuota)
	}
	if up := g.request.Flow.Up.Load(); up != 4 {
		t.Errorf("counted: got %d, want 4: it was sent", up)
	}
	g.ended(t)
}

// A side that fails ends the association.
func TestAssociationSideFails(t *testing.T) {
	errGone := errors.New("gone")
	for _, tc := range []struct {
		name string
		fail func(g *guest)
	}{
		{"upstream", func(g *guest) { g.upstream.err = errGone; g.client.give("x") }},
		{"client", func(g *guest) { g.client.err = errGone; g.upstream.give("x") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStage(t)
			g := s.guest(t)
			g.serve(t, s)
			tc.fail(g)
			if events := s.kinds(t, 1, core.Opened, core.Closed); events[1].Err != errGone {
				t.Errorf("the end: got %v, want %v", events[1].Err, errGone)
			}
			g.ended(t)
		})
	}
}

// A flow may be cut from anywhere within a burst: the burst goes on, and nothing
// follows it.
func TestAssociationCutInSink(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	g.upstream.onWrite = func([]core.Packet) { g.request.Flow.Cut(core.ErrCrowded) }
	g.serve(t, s)
	g.client.give("last")
	g.upstream.written(t, "last")
	if events := s.kinds(t, 1, core.Opened, core.Closed); events[1].Err != core.ErrCrowded {
		t.Errorf("the end: got %v, want %v", events[1].Err, core.ErrCrowded)
	}
	g.ended(t)
}

// panicked checks that the last event and the log tell of a panic.
func (s *stage) panicked(t *testing.T, kinds ...core.EventKind) {
	t.Helper()
	events := s.kinds(t, 1, kinds...)
	var panicked *panics.Error
	if last := events[len(events)-1]; !errors.As(last.Err, &panicked) {
		t.Errorf("the end: got %v, want a PanicError", last.Err)
	}
	for _, want := range []string{"level=ERROR", "association panicked", "panic: slice bounds", "goroutine", "id=1"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("log: got %q, want %q in it", s.log, want)
		}
	}
}

// A panic on the way of a burst ends its association, is logged with its stack,
// and does nothing to others.
func TestAssociationPanics(t *testing.T) {
	for _, tc := range []struct {
		name string
		fail func(g *guest)
	}{
		{"upstream", func(g *guest) { g.client.give("bad") }},
		{"client", func(g *guest) { g.upstream.give("bad") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStage(t)
			g, other := s.guest(t), s.guest(t)
			bad := func([]core.Packet) { panic("slice bounds") }
			g.client.onWrite, g.upstream.onWrite = bad, bad
			g.serve(t, s)
			other.serve(t, s)
			tc.fail(g)
			s.panicked(t, core.Opened, core.Opened, core.Closed)
			g.ended(t)
			other.client.give("good")
			other.upstream.written(t, "good")
			if n := s.Live(); n != 1 || other.request.Flow.Cause() != nil {
				t.Errorf("the other: got %d live, cut with %v, want 1, nil", n, other.request.Flow.Cause())
			}
		})
	}
}

// A panic while an association is opened rejects its client, and leaves neither
// side open.
func TestAssociationOpenPanics(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(s *stage, g *guest)
		opened int // sides that were
	}{
		{"in the dialer", func(s *stage, _ *guest) {
			s.dialer.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { panic("slice bounds") }
		}, 0},
		{"in Accept", func(_ *stage, g *guest) { g.panics = "slice bounds" }, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStage(t)
			g := s.guest(t)
			tc.spoil(s, g)
			g.serve(t, s)
			s.panicked(t, core.DialFailed)
			var panicked *panics.Error
			if len(g.rejected) != 1 || !errors.As(g.rejected[0], &panicked) {
				t.Errorf("rejected with: got %v, want the panic, once", g.rejected)
			}
			if g.upstream.closed != tc.opened {
				t.Errorf("upstream closed: got %d times, want %d", g.upstream.closed, tc.opened)
			}
			if n := s.Live(); n != 0 {
				t.Errorf("live: got %d, want 0", n)
			}
		})
	}
}
