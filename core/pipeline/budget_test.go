package pipeline_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// TestNoRoom has streams and associations come to a process that has room for one of
// either: the next one is refused, until the first one has ended.
func TestNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, told := new(budget.Budget), 0
		b.Set(budget.Limits{Descriptors: 16 + 5}, func(budget.Shortage) { told++ })
		s := newStage(t)
		s.cfg.Budget = b
		s.Pipeline = pipeline.New(s.cfg)
		v, g := s.visit(t, memory), s.guest(t)
		s.serve(t, v)
		v.reply(t, nil)
		upstream := s.dialer.Accept(t)
		g.serve(t, s)
		for range 2 {
			late := s.visit(t, memory)
			s.serve(t, late)
			late.reply(t, core.ErrCrowded)
		}
		lateGuest := s.guest(t)
		lateGuest.serve(t, s)
		if len(lateGuest.rejected) != 1 || !errors.Is(lateGuest.rejected[0], core.ErrCrowded) || told != 3 {
			t.Errorf("got rejected with %v, told %d times, want an ErrCrowded, 3", lateGuest.rejected, told)
		}
		upstream.Close()
		v.far.Close()
		g.request.Flow.Cut(io.EOF)
		s.gate.WaitEnds(t, 5)
		synctest.Wait() // the room is given back after the gates were told
		if streams, associations := b.Served(); streams != 0 || associations != 0 {
			t.Errorf("served after the ends: got %d and %d, want none", streams, associations)
		}
		again := s.visit(t, memory)
		s.serve(t, again)
		again.reply(t, nil)
		s.dialer.Accept(t).Close()
	})
}
