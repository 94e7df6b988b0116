package pipeline_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/panics"
)

// TestIdle runs streams that move bytes at different times.
func TestIdle(t *testing.T) {
	for _, tc := range []struct {
		name  string
		moves func(t *testing.T, client, target core.Stream) // returns after the last byte
	}{
		{"silent from the start", func(*testing.T, core.Stream, core.Stream) {}},
		{"trickling up, then silent", func(t *testing.T, client, target core.Stream) {
			for range 20 {
				time.Sleep(idleTimeout * 3 / 4)
				coretest.Write(t, client, []byte("x"))
				coretest.Read(t, target, []byte("x"))
			}
		}},
		{"trickling down, then silent", func(t *testing.T, client, target core.Stream) {
			for range 20 {
				time.Sleep(idleTimeout * 3 / 4)
				coretest.Write(t, target, []byte("x"))
				coretest.Read(t, client, []byte("x"))
			}
		}},
		{"half-closed and silent", func(t *testing.T, client, target core.Stream) {
			coretest.Write(t, client, []byte("x"))
			coretest.CloseWrite(t, client)
			coretest.ReadAll(t, target, []byte("x"))
		}},
		{"half-closed and trickling, then silent", func(t *testing.T, client, target core.Stream) {
			coretest.CloseWrite(t, client)
			for range 20 {
				time.Sleep(idleTimeout * 3 / 4)
				coretest.Write(t, target, []byte("x"))
				coretest.Read(t, client, []byte("x"))
			}
		}},
	} {
		// A stream may begin at any time between two looks.
		for _, before := range []time.Duration{0, time.Second, idleTimeout/8 - time.Second} {
			t.Run(tc.name+", "+before.String()+" after a look", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t)
					first := s.visit(t, memory)
					s.serve(t, first) // the looks begin with it
					first.reply(t, nil)
					s.dialer.Accept(t)
					time.Sleep(before)
					v := s.visit(t, memory)
					s.serve(t, v)
					v.reply(t, nil)
					last := time.Now()
					if tc.moves(t, v.far, s.dialer.Accept(t)); v.request.Flow.Up.Load()+v.request.Flow.Down.Load() > 0 {
						last = time.Now()
					}
					synctest.Wait()
					if cause := v.request.Flow.Cause(); cause != nil {
						t.Fatalf("got cut although bytes moved: %v", cause)
					}
					<-v.request.Flow.Done()
					if took := time.Since(last); took < idleTimeout || took > idleTimeout+idleTimeout/8 {
						t.Errorf("cut after %s, want %s to %s", took, idleTimeout, idleTimeout+idleTimeout/8)
					}
					for _, e := range s.gate.WaitEnds(t, 2) {
						if e.Kind == core.Closed && e.Err != core.ErrIdle {
							t.Errorf("the end: got %v, want %v", e.Err, core.ErrIdle)
						}
					}
				})
			})
		}
	}
}

// One stream among many is cut alone.
func TestIdleOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		silent, busy := s.visit(t, memory), s.visit(t, memory)
		s.serve(t, silent)
		silent.reply(t, nil)
		s.dialer.Accept(t)
		s.serve(t, busy)
		busy.reply(t, nil)
		target := s.dialer.Accept(t)
		for range 16 {
			time.Sleep(idleTimeout / 4)
			coretest.Write(t, busy.far, []byte("x"))
			coretest.Read(t, target, []byte("x"))
		}
		if got := silent.request.Flow.Cause(); got != core.ErrIdle {
			t.Errorf("the silent stream: got %v, want %v", got, core.ErrIdle)
		}
		if got := busy.request.Flow.Cause(); got != nil {
			t.Errorf("the busy stream: got %v, want nil", got)
		}
		if n := s.Live(); n != 1 {
			t.Errorf("live streams: got %d, want 1", n)
		}
	})
}

func TestPipelineDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.dialer.Stream = func(ctx context.Context, _ *core.Request) (core.Stream, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		began := time.Now()
		v := s.visit(t, memory)
		s.serve(t, v)
		v.reply(t, context.DeadlineExceeded)
		if took := time.Since(began); took != dialTimeout {
			t.Errorf("rejected after %s, want %s", took, dialTimeout)
		}
		s.kinds(t, 1, core.DialFailed)
	})
}

// A panic ends its stream, is logged with its stack, and nothing else.
func TestPipelinePanics(t *testing.T) {
	for _, tc := range []struct {
		name  string
		kind  core.EventKind
		spoil func(s *stage, v *visit)
	}{
		{"in the dialer", core.DialFailed, func(s *stage, _ *visit) {
			s.dialer.Stream = func(context.Context, *core.Request) (core.Stream, error) { panic("slice bounds") }
		}},
		{"in Accept", core.Closed, func(_ *stage, v *visit) { v.panics = "slice bounds" }},
		{"in the relay", core.Closed, func(_ *stage, v *visit) { v.near = &faulty{Stream: v.near, panics: "slice bounds"} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStage(t)
			v := s.visit(t, memory)
			tc.spoil(s, v)
			_ = v.far.SetDeadline(time.Now().Add(coretest.Patience))
			s.serve(t, v)
			events := s.gate.WaitEnds(t, 1)
			var panicked *panics.Error
			if last := events[len(events)-1]; last.Kind != tc.kind || !errors.As(last.Err, &panicked) {
				t.Errorf("the last event: got %s, %v, want %s, a PanicError", last.Kind, last.Err, tc.kind)
			}
			if n, err := v.far.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client's read: got %d, %v, want 0, its end", n, err)
			}
			for _, want := range []string{"level=ERROR", "stream panicked", "panic: slice bounds", "goroutine", "id=1"} {
				if !strings.Contains(s.log.String(), want) {
					t.Errorf("log: got %q, want %q in it", s.log, want)
				}
			}
			s.dialer.Stream = nil
			next := s.visit(t, memory)
			s.serve(t, next)
			next.reply(t, nil)
			next.far.Close()
		})
	}
}

// The line of an ended stream has all that is known of it but its bytes.
func TestPipelineLog(t *testing.T) {
	s := newStage(t)
	v := s.visit(t, memory)
	v.request.Payload = []byte("secret-of-alice")
	s.serve(t, v)
	v.reply(t, nil)
	target := s.dialer.Accept(t)
	coretest.Read(t, target, []byte("secret-of-alice"))
	coretest.Write(t, target, []byte("secret-answer"))
	target.Close()
	coretest.ReadAll(t, v.far, []byte("secret-answer"))
	v.far.Close()
	for _, e := range s.kinds(t, 1, core.Opened, core.Closed) {
		want := v.request.Client
		if e.Client != want || e.Request != v.request || !e.Authenticated || e.Err != nil {
			t.Errorf("%s: got %+v, want client %v, request %p", e.Kind, e, want, v.request)
		}
	}
	line := s.log.String()
	for _, want := range []string{"level=DEBUG", `msg="stream closed"`, " id=1 ", " inbound=in ", " client=192.0.2.1:4711 ",
		" target=198.51.100.7:443 ", " up=15 ", " down=13 ", " took=", " user=alice"} {
		if !strings.Contains(line, want) {
			t.Errorf("log: got %q, want %q in it", line, want)
		}
	}
	if strings.Count(line, "\n") != 1 || strings.Contains(line, "secret") || strings.Contains(line, "err=") {
		t.Errorf("log: got %q, want one line without payload or error", line)
	}
}
