package outbound

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

var server = coretest.Target

// asked is the result of a Way.Ask.
type asked struct {
	s   core.Stream
	err error
}

// ask asks over fakes, with a dialogue that reads n bytes and returns the last of them as
// beyond it.
func ask(ctx context.Context, wire core.Dialer, r *core.Request, n int) chan asked {
	done := make(chan asked, 1)
	go func() {
		s, err := Way{Server: server}.Ask(ctx, wire, r, []byte("hello"), func(conn io.ReadWriter) ([]byte, error) {
			b := make([]byte, n)
			if _, err := io.ReadFull(conn, b); err != nil {
				return nil, err
			}
			return b[n-1:], nil
		})
		done <- asked{s, err}
	}()
	return done
}

func TestAsk(t *testing.T) {
	wire := coretest.NewDialer()
	r := &core.Request{ID: 7, Target: coretest.Addr(t, "example.com:443"), IPs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}, Payload: []byte("payload"), Flow: new(core.Flow)}
	done := ask(t.Context(), wire, r, 3)
	far := wire.Accept(t)
	coretest.Read(t, far, []byte("hello"))
	coretest.Write(t, far, []byte("okB"))
	got := coretest.Await(t, "the stream", done)
	if got.err != nil {
		t.Fatal(got.err)
	}
	defer got.s.Close()
	coretest.Read(t, far, []byte("payload"))
	coretest.Read(t, got.s, []byte("B"))
	if next := wire.Requests()[0]; next.Target != server || next.IPs != nil || next.ID != 7 || string(next.Payload) != "hello" {
		t.Errorf("the wire was asked for %+v, want the server with the first message", next)
	}
	if string(r.Payload) != "payload" || r.Target.Name() != "example.com" || len(r.IPs) != 1 {
		t.Errorf("the request was changed: %+v", r)
	}
}

// The end of the context ends the dialogue, and closes the stream.
func TestAskEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ctx    func(context.Context) (context.Context, context.CancelFunc)
		reason error
	}{
		{"timeout", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, context.DeadlineExceeded},
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, context.Canceled},
	} {
		synctest.Test(t, func(t *testing.T) {
			wire := coretest.NewDialer()
			ctx, cancel := tc.ctx(t.Context())
			defer cancel()
			began := time.Now()
			done := ask(ctx, wire, &core.Request{Target: coretest.Target, Payload: []byte("payload"), Flow: new(core.Flow)}, 3)
			far := wire.Accept(t)
			got := <-done
			if got.s != nil || !errors.Is(got.err, tc.reason) || core.IsSent(got.err) || time.Since(began) != time.Second {
				t.Errorf("%s: got %v after %s, want %v after 1s", tc.name, got.err, time.Since(began), tc.reason)
			}
			if b, err := io.ReadAll(far); string(b) != "hello" || err != nil {
				t.Errorf("%s: the server got %q, %v, want the first message and the end", tc.name, b, err)
			}
		})
	}
}

// The server's end is told as ErrShort, and as ErrNothing if it has said nothing.
func TestAskServerEnds(t *testing.T) {
	for says, want := range map[string]error{"": core.ErrNothing, "ok": core.ErrShort} {
		wire := coretest.NewDialer()
		done := ask(t.Context(), wire, &core.Request{Target: coretest.Target, Flow: new(core.Flow)}, 3)
		far := wire.Accept(t)
		coretest.Write(t, far, []byte(says))
		coretest.CloseWrite(t, far)
		if got := coretest.Await(t, "an error", done); !errors.Is(got.err, want) || errors.Is(got.err, core.ErrNothing) != (want == core.ErrNothing) {
			t.Errorf("after %q: got %v, want %v", says, got.err, want)
		}
	}
}

// A failed write of the payload is the one failure that is marked as sent.
func TestAskSent(t *testing.T) {
	near, far := coretest.LoopbackPair(t)
	wire := &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) { return near, nil }}
	if err := near.CloseWrite(); err != nil { // the payload can't be written
		t.Fatal(err)
	}
	coretest.Write(t, far, []byte("okB"))
	got := coretest.Await(t, "an error", ask(t.Context(), wire, &core.Request{Target: coretest.Target, Payload: []byte("x"), Flow: new(core.Flow)}, 3))
	if !core.IsSent(got.err) {
		t.Errorf("got %v, want an error marked as sent", got.err)
	}
}

// Without bytes beyond the dialogue the stream is the wire's, so that the kernel splices.
func TestAskBare(t *testing.T) {
	near, _ := coretest.LoopbackPair(t)
	wire := &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) { return near, nil }}
	s, err := Way{Server: server}.Ask(t.Context(), wire, &core.Request{Flow: new(core.Flow)}, nil, func(io.ReadWriter) ([]byte, error) { return nil, nil })
	if err != nil || netio.Bare(s) != near {
		t.Errorf("got %v, %v, want the connection itself", s, err)
	}
}
