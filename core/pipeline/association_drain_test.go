package pipeline_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// Drain cuts associations when their context ends, however long streams may go on,
// and when that of streams ends.
func TestDrainAssociations(t *testing.T) {
	after := func(d time.Duration) func(t *testing.T) context.Context {
		return func(t *testing.T) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			return ctx
		}
	}
	for _, tc := range []struct {
		name                  string
		associations, streams func(t *testing.T) context.Context
		stream                bool          // one runs too, to the end of its context
		cutAt, took           time.Duration // the association, Drain
		cut                   int           // by Drain at its end
	}{
		{"at once", after(0), after(time.Minute), false, 0, 0, 0},
		{"kept for a while", after(time.Second), after(time.Minute), false, time.Second, time.Second, 0},
		{"at once, beside a stream", after(0), after(time.Minute), true, 0, time.Minute, 1},
		{"with the streams", after(time.Hour), after(time.Minute), true, time.Minute, time.Minute, 2},
		{"streams at once", after(time.Hour), after(0), false, 0, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				g := s.guest(t)
				g.serve(t, s)
				ends := 1
				if tc.stream {
					v := s.visit(t, memory)
					s.serve(t, v)
					v.reply(t, nil)
					defer s.dialer.Accept(t).Close()
					ends++
				}
				began := time.Now()
				var cutAt atomic.Int64 // a time.Duration
				g.request.Flow.OnCut(func() { cutAt.Store(int64(time.Since(began))) })
				if n := s.Drain(tc.associations(t), tc.streams(t)); n != tc.cut {
					t.Errorf("drain: got %d cut, want %d", n, tc.cut)
				}
				took := time.Since(began)
				synctest.Wait() // the flow calls this test after the pipeline
				if took != tc.took || time.Duration(cutAt.Load()) != tc.cutAt {
					t.Errorf("got the association cut after %s, the end after %s, want %s, %s", time.Duration(cutAt.Load()), took, tc.cutAt, tc.took)
				}
				s.gate.WaitEnds(t, ends)
				if got := g.request.Flow.Cause(); got != core.ErrShutdown || s.Live() != 0 {
					t.Errorf("got cause %v, %d live, want %v, 0", got, s.Live(), core.ErrShutdown)
				}
				g.ended(t)
			})
		})
	}
}

// While it drains, a pipeline takes no association, and those that it has go on.
func TestDrainRefusesAssociations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		g := s.guest(t)
		g.serve(t, s)
		drained := make(chan int, 1)
		go func() { drained <- s.Drain(context.Background(), context.Background()) }()
		synctest.Wait()
		late := s.guest(t)
		late.serve(t, s)
		if len(late.rejected) != 1 || late.rejected[0] != core.ErrShutdown || late.accepted != 0 || len(s.dialer.Requests()) != 1 {
			t.Errorf("the late one: got rejected with %v, accepted %d, %d dials, want %v, 0, that of the first", late.rejected, late.accepted,
				len(s.dialer.Requests()), core.ErrShutdown)
		}
		if events := s.kinds(t, 1, core.Opened, core.Refused); !errors.Is(events[1].Err, core.ErrShutdown) {
			t.Errorf("the refusal: got %v, want %v", events[1].Err, core.ErrShutdown)
		}
		g.client.give("goes on")
		g.upstream.written(t, "goes on")
		g.request.Flow.Cut(io.EOF)
		if n := <-drained; n != 0 {
			t.Errorf("drain: got %d cut, want 0", n)
		}
	})
}

// Live counts streams and associations.
func TestLiveCountsBoth(t *testing.T) {
	s := newStage(t)
	g, other := s.guest(t), s.guest(t)
	g.serve(t, s)
	other.serve(t, s)
	v := s.visit(t, memory)
	s.serve(t, v)
	v.reply(t, nil)
	target := s.dialer.Accept(t)
	if n := s.Live(); n != 3 {
		t.Errorf("live: got %d, want 3", n)
	}
	g.request.Flow.Cut(io.EOF)
	if n := s.Live(); n != 2 {
		t.Errorf("live after one has ended: got %d, want 2", n)
	}
	other.request.Flow.Cut(io.EOF)
	v.far.Close()
	target.Close()
	s.gate.WaitEnds(t, 3)
}

// A burst costs no allocation, up or down, with a meter or without.
func TestAssociationAllocates(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	client, upstream := new(coretest.Discard), new(coretest.Discard)
	g.conn = client
	s.dialer.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return upstream, nil }
	g.request.Flow.Use(new(slow))
	g.serve(t, s)
	ps := make([]core.Packet, 32)
	for i := range ps {
		ps[i] = core.Packet{Addr: coretest.Target, Data: make([]byte, 1200)}
	}
	for _, tc := range []struct {
		name string
		sink core.PacketSink
	}{{"up", client.Sink}, {"down", upstream.Sink}} {
		if n := testing.AllocsPerRun(100, func() { tc.sink(ps) }); n != 0 {
			t.Errorf("%s: got %v allocations a burst, want 0", tc.name, n)
		}
	}
	g.request.Flow.Cut(io.EOF)
}
