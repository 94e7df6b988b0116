package group_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// TestRetry tells errors after which another member is tried from those after which none is,
// and those that count from those that do not.
func TestRetry(t *testing.T) {
	for _, tc := range []struct {
		name         string
		err          error
		again, falls bool
	}{
		{"refused", errRefused, true, true},
		{"sent", core.Sent(syscall.ECONNRESET), false, true},
		{"at target", core.AtTarget(errRefused), true, false},
		{"denied here", core.ErrDenied, false, false},
		{"denied by the server", core.AtTarget(core.ErrDenied), true, false},
		{"malformed", core.ErrMalformed, true, true}, // the other member takes the request
		{"auth", core.ErrAuth, true, true},
		{"crowded", core.ErrCrowded, false, false},
		{"gone", core.ErrGone, false, false},
		{"shutdown", core.ErrShutdown, false, false},
		{"descriptors", core.AtServer(syscall.EMFILE), false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, 2, first{}, func(o *group.Options) { o.Fall = 1 })
			w.members[0].set(tc.err, 0)
			_, err := w.dial(t.Context())
			if again := err == nil; again != tc.again || w.members[1].dials() != map[bool]int{true: 1}[tc.again] {
				t.Errorf("another member: got %v, %v", again, err)
			}
			if err != nil && !errors.Is(err, tc.err) {
				t.Errorf("got %v, want %v in it", err, tc.err)
			}
			if falls := w.group.Members()[0].IsOut(); falls != tc.falls {
				t.Errorf("falls: got %t, want %t", falls, tc.falls)
			}
		})
	}
}

// TestMalformedRequest has every member refuse a request as malformed: that is the client's
// mistake, not the members'.
func TestMalformedRequest(t *testing.T) {
	w := newWorld(t, 2, first{}, func(o *group.Options) { o.Fall = 1 })
	w.members[0].set(core.ErrMalformed, 0)
	w.members[1].set(core.ErrMalformed, 0)
	if _, err := w.dial(t.Context()); !errors.Is(err, core.ErrMalformed) {
		t.Errorf("got %v", err)
	}
	for _, m := range w.group.Members() {
		if m.IsOut() {
			t.Errorf("%s is out", m.Name())
		}
	}
}

// TestEnded tries no other member once the client has gone or the time is up.
func TestEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, func(o *group.Options) { o.Fall = 1 })
		w.members[0].set(errRefused, time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if _, err := w.dial(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		r := newRequest("192.0.2.1:80")
		time.AfterFunc(time.Millisecond, func() { r.Flow.Cut(core.ErrGone) })
		if _, err := w.dialer.DialStream(t.Context(), r); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		if n := w.members[1].dials(); n != 0 || w.group.Members()[0].IsOut() {
			t.Errorf("got %d more attempts, out: %t", n, w.group.Members()[0].IsOut())
		}
	})
}

// TestShares has silent members: each attempt has its part of the time.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, first{}, func(o *group.Options) { o.Attempts = 3 })
		w.members[0].set(nil, time.Hour)
		w.members[1].set(nil, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		began := time.Now()
		got, err := w.dial(ctx)
		if took := time.Since(began); got != "c" || err != nil || took != 6*time.Second {
			t.Errorf("got %q, %v after %s, want c after 6s", got, err, took)
		}
		w.members[2].set(nil, time.Hour)
		ctx, cancel = context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		_, err = w.dial(ctx)
		const want = "a: no answer within 3s; b: no answer within 3s; c: no answer within 3s"
		if err == nil || err.Error() != want || core.ReasonOf(err) != "timeout" {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}
