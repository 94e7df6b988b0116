package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
)

// held makes the dialer of s wait for the end of its context or for release.
func held(t testing.TB, s *stage, release <-chan struct{}) (target core.Stream) {
	target, upstream := coretest.TCPPair(t)
	s.dialer.Stream = func(ctx context.Context, r *core.Request) (core.Stream, error) {
		select {
		case <-release:
			return upstream, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return target
}

// watched makes a client whose connection the pipeline may watch.
func (s *stage) watched(t testing.TB) *visit {
	t.Helper()
	v := s.visit(t, coretest.Pairs[1].Make)
	v.request.Wire = v.near
	return v
}

// A dial whose client has gone ends at once.
func TestDialOfGoneClient(t *testing.T) {
	for _, tc := range []struct {
		name string
		wait time.Duration // of the dialer, for the first payload
		lone bool          // the client awaits its reply
		sent string        // by the client after its request, and read
		end  func(core.Stream)
	}{
		{"reset", 0, false, "", ending.Reset},
		{"reset, waiting for a reply", 0, true, "", ending.Reset},
		{"reset behind a payload", 0, true, "payload", ending.Reset},
		{"reset after the reply", time.Nanosecond, true, "", ending.Reset},
		{"end, waiting for a reply", 0, true, "", func(c core.Stream) { _ = c.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.dialer.Wait = tc.wait
			held(t, s, nil)
			v := s.watched(t)
			v.request.AwaitsReply, v.request.Payload = tc.lone, []byte(tc.sent)
			s.serve(t, v)
			tc.end(v.far)
			events := s.gate.WaitEnds(t, 1)
			if last := events[len(events)-1]; last.Kind != core.Closed || !errors.Is(last.Err, core.ErrGone) || last.Reason() != "gone" {
				t.Errorf("the end: got %s, %v, want %s, %v", last.Kind, last.Err, core.Closed, core.ErrGone)
			}
		})
	}
}

// An end of the client's direction that may be half a close ends no dial, and what the
// client sends during a dial is not lost.
func TestDialOfHalfClosedClient(t *testing.T) {
	for _, tc := range []struct {
		name string
		wait time.Duration
		lone bool
		read string // sent after the request and read with it
		more string // sent during the dial
	}{
		{"a protocol without a reply", 0, false, "", "more"},
		{"a payload before the end", 0, true, "payload", ""},
		{"bytes not read yet", 0, true, "", "more"},
		{"after the reply", time.Nanosecond, true, "", "more"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.dialer.Wait = tc.wait
			release := make(chan struct{})
			target := held(t, s, release)
			v := s.watched(t)
			v.request.AwaitsReply, v.request.Payload = tc.lone, []byte(tc.read)
			if tc.more != "" && tc.wait == 0 {
				coretest.Write(t, v.far, []byte(tc.more))
			}
			if tc.wait == 0 {
				coretest.CloseWrite(t, v.far)
			}
			s.serve(t, v)
			if tc.wait > 0 {
				if err := coretest.Await(t, "the reply", v.replies); err != nil {
					t.Fatal(err)
				}
				v.replies <- nil // for v.reply
				s.dialer.Wait = 0
			}
			other := s.watched(t) // its dial begins later, and so does its watch
			s.serve(t, other)
			ending.Reset(other.far)
			s.gate.WaitEnds(t, 1)
			if cause := v.request.Flow.Cause(); cause != nil {
				t.Fatalf("the dial was cut: %v", cause)
			}
			if tc.wait > 0 {
				coretest.Write(t, v.far, []byte(tc.more))
				coretest.CloseWrite(t, v.far)
			}
			close(release)
			v.reply(t, nil)
			coretest.ReadAll(t, target, []byte(tc.more))
			target.Close()
			coretest.ReadAll(t, v.far, nil)
			s.gate.WaitEnds(t, 2)
		})
	}
}
