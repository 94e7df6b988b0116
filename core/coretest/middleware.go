package coretest

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// TestMiddleware checks that a middleware calls the methods of the Dialer that it wraps,
// returns their results, passes the request's flow on, and changes only a copy of the
// request. makeMiddleware returns a middleware that admits a request for 192.0.2.1:80.
func TestMiddleware(t *testing.T, makeMiddleware func(t testing.TB) core.Middleware) {
	errNext := errors.New("the next dialer's error")
	to := core.AddrFrom(netip.MustParseAddrPort("192.0.2.1:80"))

	t.Run("stream", func(t *testing.T) {
		next := NewDialer()
		r := request(to, []byte("payload"))
		before := snapshot(r)
		middleware := makeMiddleware(t)
		s := dialTarget(t, t.Context(), middleware.Wrap(next), r)
		if after := snapshot(r); !reflect.DeepEqual(before, after) {
			t.Errorf("the request was changed: got %+v, want a changed copy passed on", after)
		}
		passedOn(t, next, r)
		within(t, "bytes through the stream", func() {
			far := next.Accept(t)
			defer far.Close()
			Write(t, s, []byte(", more"))
			Read(t, far, []byte("payload, more"))
			Write(t, far, []byte("answer"))
			Read(t, s, []byte("answer"))
		})
		measuredBy(t, middleware)
	})
	t.Run("stream error", func(t *testing.T) {
		next := &Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) { return nil, errNext }}
		if s, err := makeMiddleware(t).Wrap(next).DialStream(t.Context(), request(to, nil)); s != nil || !errors.Is(err, errNext) {
			t.Errorf("got %v, %v, want nil, %v", s, err, errNext)
		}
	})
	t.Run("cancelled context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if s, err := makeMiddleware(t).Wrap(NewDialer()).DialStream(ctx, request(to, nil)); err == nil {
			s.Close()
			t.Error("got a stream, want an error")
		}
	})
	t.Run("packets", func(t *testing.T) {
		near, far := PacketPipe()
		defer far.Conn.Close()
		next := &Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return near.Conn, nil }}
		r := request(to, nil)
		p, err := makeMiddleware(t).Wrap(next).OpenPackets(t.Context(), r)
		if err != nil {
			t.Fatalf("open packets: %v", err)
		}
		defer p.Close()
		passedOn(t, next, r)
	})
	t.Run("packets error", func(t *testing.T) {
		if p, err := makeMiddleware(t).Wrap(new(Dialer)).OpenPackets(t.Context(), request(to, nil)); p != nil || !errors.Is(err, core.ErrNoPackets) {
			t.Errorf("got %v, %v, want nil, %v", p, err, core.ErrNoPackets)
		}
	})
	t.Run("payload wait", func(t *testing.T) {
		const want = 70 * time.Millisecond
		if got := makeMiddleware(t).Wrap(&Dialer{Wait: want}).PayloadWait(request(to, nil)); got != want {
			t.Errorf("got %s, want the next dialer's %s", got, want)
		}
	})
}

// passedOn checks that next received one request, with the flow and identity of r.
func passedOn(t *testing.T, next *Dialer, r *core.Request) {
	t.Helper()
	got := next.Requests()
	if len(got) != 1 {
		t.Fatalf("the next dialer got %d requests, want 1", len(got))
	}
	if got[0].Flow != r.Flow || got[0].ID != r.ID || got[0].Client != r.Client {
		t.Errorf("the next dialer got %+v, want the flow and identity of %+v", got[0], *r)
	}
}
