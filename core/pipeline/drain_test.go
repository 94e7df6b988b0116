package pipeline_test

import (
	"context"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// A draining pipeline takes no stream, waits for those that run, and cuts them
// when its context ends.
func TestPipelineDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		if n := s.Live(); n != 0 {
			t.Errorf("live: got %d, want 0", n)
		}
		var visits []*visit
		for i := range 3 {
			v := s.visit(t, memory)
			s.serve(t, v)
			v.reply(t, nil)
			s.dialer.Accept(t)
			visits = append(visits, v)
			if n := s.Live(); n != i+1 {
				t.Errorf("live: got %d, want %d", n, i+1)
			}
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cut := make(chan int)
		go func() { cut <- s.Drain(ctx, ctx) }()
		synctest.Wait()
		late := s.visit(t, memory)
		ended := 0
		late.request.Ended = func() { ended++ }
		s.serve(t, late)
		late.reply(t, core.ErrShutdown)
		if synctest.Wait(); ended != 1 {
			t.Errorf("a stream while draining: told the inbound of its end %d times, want once", ended)
		}
		if last := s.gate.WaitEnds(t, 1); last[len(last)-1].Kind != core.Refused {
			t.Errorf("a stream while draining: got %v, want %v at the end", s.gate.Kinds(), core.Refused)
		}
		coretest.Write(t, visits[0].far, []byte("still served"))
		visits[0].request.Flow.Cut(core.ErrIdle)
		if n := <-cut; n != 2 || time.Since(began) != time.Minute {
			t.Errorf("drain: got %d cut after %s, want 2 after 1m", n, time.Since(began))
		}
		for i, v := range visits {
			want := core.ErrShutdown
			if i == 0 {
				want = core.ErrIdle
			}
			if got := v.request.Flow.Cause(); got != want {
				t.Errorf("stream %d: got %v, want %v", i, got, want)
			}
		}
		s.gate.WaitEnds(t, 4)
	})
}

// Draining ends with the last stream, for all who wait.
func TestPipelineDrainEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		if n := s.Drain(ended(), ended()); n != 0 {
			t.Errorf("drain of an empty pipeline: got %d, want 0", n)
		}
		s.Pipeline = pipeline.New(s.cfg)
		v := s.visit(t, memory)
		s.serve(t, v)
		v.reply(t, nil)
		far := s.dialer.Accept(t)
		began := time.Now()
		time.AfterFunc(time.Second, func() { v.far.Close(); far.Close() })
		drain := func() {
			if n := s.Drain(t.Context(), t.Context()); n != 0 || time.Since(began) != time.Second {
				t.Errorf("drain: got %d after %s, want 0 after 1s", n, time.Since(began))
			}
		}
		coretest.Together(drain, drain)
	})
}

// A stream that is still being dialled counts, and is cut too.
func TestPipelineDrainDialling(t *testing.T) {
	s := newStage(t)
	dialling := make(chan struct{})
	s.dialer.Stream = func(ctx context.Context, _ *core.Request) (core.Stream, error) {
		close(dialling)
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	}
	v := s.visit(t, memory)
	s.serve(t, v)
	coretest.Await(t, "the dial", Received(dialling))
	if n := s.Drain(ended(), ended()); n != 1 {
		t.Errorf("drain: got %d, want 1", n)
	}
	v.reply(t, os.ErrDeadlineExceeded)
	s.kinds(t, 1, core.DialFailed)
}

// received turns the close of a channel into a value.
func Received(closed <-chan struct{}) <-chan bool {
	ch := make(chan bool, 1)
	go func() { <-closed; ch <- true }()
	return ch
}
