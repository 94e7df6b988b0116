package pipeline_test

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// bursting is a stream whose Close panics, after it has closed, until the test ends.
type bursting struct {
	core.Stream
	over atomic.Bool
}

func (b *bursting) Close() error {
	b.Stream.Close()
	if !b.over.Load() {
		panic("close")
	}
	return nil
}

// A Close that panics ends its own connection: the other side is closed, and the
// pipeline can drain.
func TestClosePanics(t *testing.T) {
	for _, cut := range []bool{false, true} {
		s := newStage(t)
		v := s.visit(t, coretest.Pairs[0].Make)
		near := &bursting{Stream: v.near}
		v.near = near
		s.serve(t, v)
		v.reply(t, nil)
		far := s.dialer.Accept(t)
		if cut {
			v.request.Flow.Cut(core.ErrDenied)
		} else {
			v.far.Close()
			far.Close()
		}
		s.gate.WaitEnds(t, 1)
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Errorf("cut %t: the target is still open", cut)
		}
		near.over.Store(true)
	}
}

// burstingPackets is a side of an association whose Close panics.
type burstingPackets struct{ *fakePackets }

func (burstingPackets) Close() error { panic("close") }

func TestAssociationClosePanics(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	g.conn = burstingPackets{g.client}
	g.serve(t, s)
	g.request.Flow.Cut(core.ErrIdle)
	if n := s.Live(); n != 0 {
		t.Errorf("live: got %d, want 0", n)
	}
	if g.upstream.closed != 1 {
		t.Errorf("upstream: closed %d times, want once", g.upstream.closed)
	}
}

// A client that is absorbed before the dial ends with a cut.
func TestCutWhileAbsorbing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.dialer.Wait = time.Second
		v := s.visit(t, memory)
		absorb := make(chan struct{})
		near := &endless{Stream: absorbing{&faulty{Stream: v.near, err: core.ErrAuth, absorb: absorb}}, absorb: absorb}
		v.near = near
		s.serve(t, v)
		synctest.Wait()
		v.request.Flow.Cut(core.ErrShutdown)
		s.gate.WaitEnds(t, 1)
	})
}

// endless is an Absorber that absorbs until it is closed.
type endless struct {
	core.Stream
	absorb chan struct{}
}

func (e *endless) Absorb() { <-e.absorb }

func (e *endless) Close() error {
	select {
	case <-e.absorb:
	default:
		close(e.absorb)
	}
	return e.Stream.Close()
}

// An association that is refused while draining has ended: it does not move.
func TestMoveAfterRefusal(t *testing.T) {
	s := newStage(t)
	s.Drain(ended(), ended())
	g := s.guest(t)
	a := s.HandlePackets(context.Background(), g.request, g, nil)
	if err := a.Move(netip.MustParseAddrPort("198.51.100.1:1")); err == nil {
		t.Error("moved")
	}
}

// A flow that was cut before its association opened is under no grant afterwards.
func TestGrantOfCutAssociation(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	g.request.Grant = new(core.Grant)
	g.request.Flow.Cut(core.ErrDenied)
	g.serve(t, s)
	s.gate.WaitEnds(t, 1)
	if n := g.request.Grant.Revoke(errors.New("removed")); n != 0 {
		t.Errorf("revoked: cut %d, want 0", n)
	}
}
