package coretest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
)

// TestDialer checks that a dialer satisfies the contract of core.Dialer. makeDialer
// returns a fresh dialer that reaches 127.0.0.1. If the dialer uses a server, makeDialer
// starts the server too.
func TestDialer(t *testing.T, makeDialer func(t testing.TB) core.Dialer) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, d core.Dialer)
	}{
		{"payload is sent", dialerPayload},
		{"request is left alone", dialerRequest},
		{"both directions", dialerExchange},
		{"context ends the dial only", dialerContext},
		{"cancelled context", dialerCancelled},
		{"refused", dialerRefused},
		{"many at once", dialerConcurrent},
		{"packets", dialerPackets},
		{"payload wait", dialerPayloadWait},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, makeDialer(t)) })
	}
}

// TestOutbound checks an outbound. Over core.Net the outbound must return a Dialer that
// passes TestDialer. Over another wire it must either use that wire or return
// core.ErrFirstHop.
func TestOutbound(t *testing.T, makeOutbound func(t testing.TB) core.Outbound) {
	TestDialer(t, func(t testing.TB) core.Dialer {
		d, err := makeOutbound(t).Over(dial.Net{})
		if err != nil {
			t.Fatalf("over core.Net: %v", err)
		}
		return d
	})
	t.Run("later hop", func(t *testing.T) {
		wire := &Dialer{Stream: dial.Net{}.DialStream}
		out := makeOutbound(t)
		d, err := out.Over(wire)
		if errors.Is(err, core.ErrFirstHop) {
			return
		}
		if err != nil {
			t.Fatalf("over a wire: %v", err)
		}
		dialerExchange(t, d)
		measuredBy(t, out)
		if len(wire.Requests()) == 0 {
			t.Error("the outbound bypassed its wire")
		}
	})
}

// target is a TCP server on loopback, the target of a dialer.
type target struct {
	addr  core.Addr
	conns chan *net.TCPConn
}

func newTarget(t testing.TB) *target {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{addr: core.AddrFrom(l.Addr().(*net.TCPAddr).AddrPort()), conns: make(chan *net.TCPConn, 64)}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			tg.conns <- c
		}
	})
	t.Cleanup(func() { l.Close(); accepting.Wait() })
	return tg
}

// request returns a request for to, as an inbound creates it.
func request(to core.Addr, payload []byte) *core.Request {
	return &core.Request{
		ID: 1, Network: core.TCP, User: "alice", Client: core.Client{Addr: netip.MustParseAddrPort("127.0.0.1:4711"), Network: core.TCP, Inbound: "test"},
		Target: to, Payload: payload, Flow: new(core.Flow),
	}
}

// dial opens a stream and closes it at the end of the test.
func dialTarget(t *testing.T, ctx context.Context, d core.Dialer, r *core.Request) core.Stream {
	t.Helper()
	s, err := d.DialStream(ctx, r)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func dialerPayload(t *testing.T, d core.Dialer) {
	for _, size := range []int{1, 17, 1400, 40_000, 200_000} {
		tg := newTarget(t)
		payload := Pattern(size, 3)
		sent := Pattern(size, 3)
		var far core.Stream
		var all sync.WaitGroup
		all.Go(func() {
			within(t, "the payload", func() {
				c := <-tg.conns
				far = c
				Read(t, c, payload)
			})
		})
		s := dialTarget(t, t.Context(), d, request(tg.addr, sent))
		clear(sent) // the payload belongs to the caller again
		all.Wait()
		Write(t, s, []byte("more"))
		within(t, "the bytes after the payload", func() { Read(t, far, []byte("more")) })
	}
}

func dialerRequest(t *testing.T, d core.Dialer) {
	tg := newTarget(t)
	r := request(tg.addr, []byte("payload"))
	r.IPs = []netip.Addr{tg.addr.IP()}
	before := snapshot(r)
	d.PayloadWait(r)
	dialTarget(t, t.Context(), d, r)
	if after := snapshot(r); !reflect.DeepEqual(before, after) {
		t.Errorf("the request was changed: got %+v, want %+v", after, before)
	}
	if up, down := r.Flow.Up.Load(), r.Flow.Down.Load(); up != 0 || down != 0 {
		t.Errorf("counters: got %d, %d, want 0, 0: the pipeline counts", up, down)
	}
}

func dialerExchange(t *testing.T, d core.Dialer) {
	tg := newTarget(t)
	up, down := Pattern(1<<20+3, 1), Pattern(1<<20+5, 2)
	s := dialTarget(t, t.Context(), d, request(tg.addr, up[:100]))
	within(t, "the exchange", func() {
		far := <-tg.conns
		var all sync.WaitGroup
		all.Go(func() { Write(t, s, up[100:]); CloseWrite(t, s) })
		ReadAll(t, far, up)
		all.Go(func() { Write(t, far, down); CloseWrite(t, far) })
		ReadAll(t, s, down)
		all.Wait()
	})
}

func dialerContext(t *testing.T, d core.Dialer) {
	tg := newTarget(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := dialTarget(t, ctx, d, request(tg.addr, []byte("a")))
	cancel()
	within(t, "bytes after the dial's context has ended", func() {
		far := <-tg.conns
		Write(t, s, []byte("b"))
		Read(t, far, []byte("ab"))
		Write(t, far, []byte("c"))
		Read(t, s, []byte("c"))
	})
}

func dialerCancelled(t *testing.T, d core.Dialer) {
	tg := newTarget(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, "a dial with a cancelled context", func() {
		if s, err := d.DialStream(ctx, request(tg.addr, nil)); err == nil {
			s.Close()
			t.Error("got a stream, want an error")
		}
	})
}

func dialerRefused(t *testing.T, d core.Dialer) {
	within(t, "a dial to a closed port", func() {
		s, err := d.DialStream(t.Context(), request(core.AddrFrom(FreeAddr(t)), []byte("x")))
		if err != nil {
			return
		}
		// A protocol without a reply can't return an error. Its stream must end.
		defer s.Close()
		if n, err := s.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read: got %d, %v, want 0, an error", n, err)
		}
	})
}
