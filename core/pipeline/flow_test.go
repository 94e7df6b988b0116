package pipeline_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

func TestFlowCut(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	f := new(core.Flow)
	if f.Cause() != nil {
		t.Errorf("cause before: got %v, want nil", f.Cause())
	}
	done := f.Done()
	var calls []string
	f.OnCut(func() { calls = append(calls, "a") })
	f.OnCut(func() { calls = append(calls, "b") })
	select {
	case <-done:
		t.Error("done before the cut")
	default:
	}
	f.Cut(first)
	f.Cut(second)
	if f.Cause() != first {
		t.Errorf("cause: got %v, want %v", f.Cause(), first)
	}
	f.OnCut(func() { calls = append(calls, "late") })
	f.Cut(second)
	if got := len(calls); got != 3 || calls[0] != "a" || calls[1] != "b" || calls[2] != "late" {
		t.Errorf("calls: got %v, want a, b, late, each once", calls)
	}
	for _, ch := range []<-chan struct{}{done, f.Done()} {
		select {
		case <-ch:
		default:
			t.Error("not done after the cut")
		}
	}
}

// Done is closed of a flow that was cut before anyone asked.
func TestFlowDoneAfterCut(t *testing.T) {
	f := new(core.Flow)
	f.Cut(core.ErrIdle)
	<-f.Done()
}

// Of many that cut at once, one is the cause, and each end is called once.
func TestFlowCutAtOnce(t *testing.T) {
	f := new(core.Flow)
	calls := make(chan int, 64)
	errs := make([]error, 8)
	cuts := make([]func(), len(errs))
	for i := range errs {
		errs[i] = errors.New("cut")
		cuts[i] = func() {
			f.OnCut(func() { calls <- i })
			f.Cut(errs[i])
			<-f.Done()
		}
	}
	coretest.Together(cuts...)
	seen := map[int]bool{}
	for range errs {
		i := <-calls
		if seen[i] {
			t.Errorf("end %d was called twice", i)
		}
		seen[i] = true
	}
	if len(calls) != 0 {
		t.Errorf("got %d calls too many", len(calls))
	}
}

// An end may ask its flow: it is called without the flow's lock.
func TestFlowCutCallsBack(t *testing.T) {
	f := new(core.Flow)
	var cause error
	f.OnCut(func() {
		cause = f.Cause()
		f.Cut(errors.New("again"))
	})
	f.Cut(core.ErrIdle)
	if cause != core.ErrIdle {
		t.Errorf("the cause within a cut: got %v, want %v", cause, core.ErrIdle)
	}
}

// slow is a meter that answers with what it has.
type slow struct {
	wait time.Duration
	err  error

	mu       sync.Mutex
	up, down int // guarded by mu
}

func (m *slow) Take(up, down int) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.up += up
	m.down += down
	return m.wait, m.err
}

// The longest wait of all meters holds back what comes next.
func TestFlowMeters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meters := []*slow{{wait: time.Second}, {wait: 3 * time.Second}, {}}
		r := startRelay(t, memory, memory, func(r *relayed) {
			for _, m := range meters {
				r.flow.Use(m)
			}
		})
		defer r.close()
		began := time.Now()
		coretest.Write(t, r.client, []byte("one"))
		coretest.Read(t, r.target, []byte("one"))
		coretest.Write(t, r.client, []byte("three"))
		coretest.Read(t, r.target, []byte("three"))
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("the second burst: got it after %s, want 3s", took)
		}
		coretest.Write(t, r.target, []byte("down")) // the other direction does not wait
		coretest.Read(t, r.client, []byte("down"))
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("the answer: got it after %s, want 3s", took)
		}
		synctest.Wait()
		for i, m := range meters {
			if m.up != 8 || m.down != 4 {
				t.Errorf("meter %d: got %d up, %d down, want 8, 4", i, m.up, m.down)
			}
		}
		r.flow.Cut(core.ErrIdle) // ends the waits too
		if err := <-r.done; err != core.ErrIdle || time.Since(began) != 3*time.Second {
			t.Errorf("relay: got %v after %s, want %v after 3s", err, time.Since(began), core.ErrIdle)
		}
	})
}

func TestFlowMeterEnds(t *testing.T) {
	errQuota := errors.New("quota")
	r := startRelay(t, memory, memory, func(r *relayed) { r.flow.Use(&slow{err: errQuota}) })
	defer r.close()
	coretest.Write(t, r.target, []byte("last"))
	coretest.ReadAll(t, r.client, []byte("last"))
	if err := <-r.done; err != errQuota {
		t.Errorf("relay: got %v, want %v", err, errQuota)
	}
	r.counted(t, 0, 4)
}

// A cut ends a pipeline's stream wherever it is.
func TestFlowCutInPipeline(t *testing.T) {
	errCut := errors.New("quota")
	blocked := func(ctx context.Context, _ *core.Request) (core.Stream, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, tc := range []struct {
		name  string
		spoil func(s *stage, v *visit)
		cut   bool // after the start
		reply error
		kinds []core.EventKind
	}{
		{"before", func(_ *stage, v *visit) { v.request.Flow.Cut(errCut) }, false, context.Canceled, []core.EventKind{core.DialFailed}},
		{"during the dial", func(s *stage, _ *visit) { s.dialer.Stream = blocked }, true, context.Canceled, []core.EventKind{core.DialFailed}},
		{"during the relay", func(*stage, *visit) {}, true, nil, []core.EventKind{core.Opened, core.Closed}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				v := s.visit(t, memory)
				tc.spoil(s, v)
				s.serve(t, v)
				began := time.Now()
				if synctest.Wait(); tc.cut {
					v.request.Flow.Cut(errCut)
				}
				v.reply(t, tc.reply)
				coretest.ReadAll(t, v.far, nil)
				events := s.kinds(t, 1, tc.kinds...)
				if last := events[len(events)-1]; last.Kind == core.Closed && last.Err != errCut {
					t.Errorf("the last event's error: got %v, want %v", last.Err, errCut)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("the end: got it after %s, want it at once", took)
				}
			})
		})
	}
}
