package inbound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// short is a handshake's deadline for tests that wait for it.
const short = 200 * time.Millisecond

// inFail is the line of a client whose Fail shall panic.
const inFail = "panic in fail"

// failure is one call of Fail.
type failure struct {
	conn     core.Stream
	deadline time.Time
	at       time.Time
	err      error
}

// testServer is a core.Server at work. Its protocol is a line: "ok" makes a
// request, "panic" panics, and everything else is an ErrAuth.
type testServer struct {
	*inbound.Server
	h       *coretest.Handler
	handler core.Handler // what is served; h if nil
	fails   chan failure // calls of Fail that did not panic, as far as there is room
	begun   atomic.Int64 // calls of Handshake
	lines   *coretest.Lines
	serving sync.WaitGroup
}

// newTestServer returns a server that has bound nothing yet. edit may be nil.
func newTestServer(t testing.TB, edit func(*testServer, *inbound.ServerConfig)) *testServer {
	t.Helper()
	s := &testServer{h: coretest.NewHandler(), fails: make(chan failure, 64), lines: new(coretest.Lines)}
	cfg := inbound.ServerConfig{Env: coretest.Env(t), Listen: option.ListenList{option.ListenOn(coretest.AnyPort)}, Timeout: time.Minute, Max: 4096, PerClient: 1024, Handshake: s.handshake, Fail: s.fail}
	cfg.Env.Log = slog.New(slog.NewTextHandler(s.lines, nil))
	if edit != nil {
		edit(s, &cfg)
	}
	s.Server = inbound.NewServer(cfg)
	return s
}

// startServer returns a server that serves until the end of the test.
func startServer(t testing.TB, edit func(*testServer, *inbound.ServerConfig)) *testServer {
	t.Helper()
	s := newTestServer(t, edit)
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.serve(t)
	return s
}

func (s *testServer) serve(t testing.TB) {
	t.Helper()
	h := s.handler
	if h == nil {
		h = s.h
	}
	s.serving.Go(func() {
		if err := s.Serve(context.Background(), h); err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	t.Cleanup(func() {
		s.drop(t)
		s.serving.Wait()
	})
}

// drop shuts the server down without patience for handshakes.
func (s *testServer) drop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func (s *testServer) handshake(_ context.Context, conn core.Stream, _ core.Client, next inbound.Requests) error {
	s.begun.Add(1)
	var text []byte
	for one := make([]byte, 1); ; text = append(text, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return fmt.Errorf("line: %w", err)
		}
		if one[0] == '\n' {
			break
		}
	}
	switch string(text) {
	case "ok":
		next.Stream(&core.Request{Target: coretest.Target}, &lineEnd{conn})
		return nil
	case "panic":
		panicInProtocol()
	}
	return fmt.Errorf("%w: %s", core.ErrAuth, text)
}

// panicInProtocol has a name that shows in a stack.
func panicInProtocol() { panic("a mistake in a protocol") }

func (s *testServer) fail(conn core.Stream, deadline time.Time, err error) {
	if strings.Contains(err.Error(), inFail) {
		panicInProtocol()
	}
	select {
	case s.fails <- failure{conn, deadline, time.Now(), err}:
	default:
	}
}

// readOn is the Fail of a kind that shows nothing.
func readOn(conn core.Stream, _ time.Time, _ error) { ending.Drain(conn) }

// lineEnd is the pending client of a line.
type lineEnd struct{ core.Stream }

func (p *lineEnd) Accept() (core.Stream, error) { return p.Stream, nil }
func (p *lineEnd) Reject(error)                 { p.Close() }

// dial connects to the server and says text.
func (s *testServer) dial(t testing.TB, text string) *net.TCPConn {
	t.Helper()
	return coretest.DialTCP(t, s.Listening()[0], text)
}

// served checks that the server takes requests.
func (s *testServer) served(t testing.TB) {
	t.Helper()
	c := s.dial(t, "ok\n")
	s.exchange(t, c)
}

// exchange fetches the request that c made and lets bytes go both ways.
func (s *testServer) exchange(t testing.TB, c *net.TCPConn) *core.Request {
	t.Helper()
	next := s.h.Next(t)
	near, err := next.Pending.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	coretest.Write(t, c, []byte("up"))
	coretest.Read(t, near, []byte("up"))
	coretest.Write(t, near, []byte("down"))
	coretest.Read(t, c, []byte("down"))
	return next.Request
}

func TestServerRequest(t *testing.T) {
	s := startServer(t, func(_ *testServer, cfg *inbound.ServerConfig) { cfg.Env.Name = "front" })
	var ids []uint64
	for range 2 {
		c := s.dial(t, "ok\n")
		r := s.exchange(t, c)
		if r.Client.Inbound != "front" || r.Client.Addr.String() != c.LocalAddr().String() || r.Flow == nil || r.Target != coretest.Target {
			t.Errorf("request: got %+v, want inbound front, client %v, a flow, target %v", r, c.LocalAddr(), coretest.Target)
		}
		ids = append(ids, r.ID)
	}
	if ids[0] == 0 || ids[0] == ids[1] {
		t.Errorf("IDs: got %v, want two that differ and are not 0", ids)
	}
}

func TestServerKeepsFlow(t *testing.T) {
	flow := new(core.Flow)
	s := startServer(t, func(s *testServer, cfg *inbound.ServerConfig) {
		cfg.Handshake = func(ctx context.Context, conn core.Stream, c core.Client, next inbound.Requests) error {
			return s.handshake(ctx, conn, c, withFlow{next, flow})
		}
	})
	if r := s.exchange(t, s.dial(t, "ok\n")); r.Flow != flow {
		t.Errorf("flow: got %p, want the handshake's own %p", r.Flow, flow)
	}
}

// Neither a client that says nothing nor one that says a little all the time
// outlives the deadline, and one that made its request in time does.
func TestServerDeadline(t *testing.T) {
	s := startServer(t, func(_ *testServer, cfg *inbound.ServerConfig) { cfg.Timeout = short })
	inTime := s.dial(t, "ok\n")
	began := time.Now()
	silent := s.dial(t, "")
	slow := s.dial(t, "")
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := slow.Write([]byte("a")); err != nil {
				return
			}
		}
	})
	for range 2 {
		f := coretest.Await(t, "the deadline", s.fails)
		if !errors.Is(f.err, os.ErrDeadlineExceeded) {
			t.Errorf("fail: got %v, want os.ErrDeadlineExceeded", f.err)
		}
		if f.deadline.Before(began.Add(short/2)) || f.at.Before(f.deadline) {
			t.Errorf("fail: got called at %v with the deadline %v, want after it, and that %s after the accept", f.at, f.deadline, short)
		}
	}
	for _, c := range []*net.TCPConn{silent, slow} {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read after the deadline: got %v, want the end", err)
		}
	}
	s.exchange(t, inTime) // its own deadline was before the others'
	failedOnce(t, s, 2)
}

// failedOnce checks that n handshakes failed, each with one event.
func failedOnce(t *testing.T, s *testServer, n int) {
	t.Helper()
	clients := map[core.Client]int{}
	failed := 0
	for _, e := range s.h.WaitEnds(t, n) {
		clients[e.Client]++
		if failed++; e.Kind != core.HandshakeFailed || e.Err == nil || e.Request != nil || clients[e.Client] != 1 {
			t.Errorf("event: got %+v (number %d of that client), want one failed handshake", e, clients[e.Client])
		}
	}
	if failed != n {
		t.Errorf("events: got %d, want %d", failed, n)
	}
}

// withFlow gives a stream a flow.
type withFlow struct {
	inbound.Requests
	flow *core.Flow
}

func (w withFlow) Stream(r *core.Request, p core.Pending) {
	r.Flow = w.flow
	w.Requests.Stream(r, p)
}

func TestServerAuthenticatedFailure(t *testing.T) {
	for _, marked := range []bool{false, true} {
		s := startServer(t, func(_ *testServer, cfg *inbound.ServerConfig) {
			cfg.Handshake = func(context.Context, core.Stream, core.Client, inbound.Requests) error {
				if marked {
					return core.Authenticated(core.ErrMalformed)
				}
				return core.ErrMalformed
			}
		})
		s.dial(t, "x")
		e := s.h.WaitEnds(t, 1)[0]
		if e.Authenticated != marked || !errors.Is(e.Err, core.ErrMalformed) || e.Client.Network != "tcp" || e.Client.Inbound != "test" {
			t.Errorf("event: got %+v, want authenticated %t, core.ErrMalformed, tcp, test", e, marked)
		}
	}
}

// A panic ends the connection that it comes from, and no other.
func TestServerPanics(t *testing.T) {
	for _, tc := range []struct{ name, text string }{
		{"in the handshake", "panic\n"},
		{"in fail", inFail + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startServer(t, nil)
			other := s.dial(t, "o")
			c := s.dial(t, tc.text)
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("read: got %v, want io.EOF", err)
			}
			coretest.Write(t, other, []byte("k\n"))
			s.exchange(t, other)
			s.served(t)
			failedOnce(t, s, 1)
			coretest.Eventually(t, "the panic's line", func() bool {
				return len(s.lines.With("level=ERROR", "a mistake in a protocol", "stack=", "panicInProtocol")) == 1
			})
		})
	}
}

// A client that the gate refuses goes to Fail with the gate's words, unread.
func TestServerRefused(t *testing.T) {
	errBanned := fmt.Errorf("%w: banned", core.ErrDenied)
	s := startServer(t, func(s *testServer, _ *inbound.ServerConfig) {
		s.h.Deny = func(core.Client) error { return errBanned }
	})
	c := s.dial(t, "")
	if f := coretest.Await(t, "the refusal", s.fails); f.err != errBanned || f.deadline.IsZero() {
		t.Errorf("fail: got %v, deadline %v, want %v and one", f.err, f.deadline, errBanned)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: got %v, want io.EOF", err)
	}
	if n, events := s.begun.Load(), s.h.Events(); n != 0 || len(events) != 0 {
		t.Errorf("got %d handshakes, events %v, want none", n, events)
	}
}

// tagged is a transport that names the streams it makes; the client says
// nothing for it.
type tagged struct {
	name string
	end  func() error // of a failing one
	log  *[]string    // of what the transports wrapped, in order
}

type taggedStream struct {
	core.Stream
	name string
}

func (tagged) Client(context.Context, core.Stream, core.Addr) (core.Stream, error) {
	return nil, errors.ErrUnsupported
}

func (tr tagged) Server(_ context.Context, wire core.Stream) (core.Stream, error) {
	*tr.log = append(*tr.log, tr.name+" over "+wireName(wire))
	if tr.end != nil {
		return nil, tr.end()
	}
	return taggedStream{wire, tr.name}, nil
}

func wireName(s core.Stream) string {
	if t, ok := s.(taggedStream); ok {
		return t.name
	}
	return fmt.Sprintf("%T", s)
}

func TestServerTransports(t *testing.T) {
	errBroken := fmt.Errorf("%w: no hello", core.ErrMalformed)
	const wire = "*net.TCPConn"
	for _, tc := range []struct {
		name  string
		end   func() error // of the last transport
		order string
		on    string // what Fail gets
	}{
		{"all", nil, "a over " + wire + ", b over a, c over b", "c"},
		{"failing", func() error { return errBroken }, "a over " + wire + ", b over a, c over b", "b"},
		{"panicking", func() error { panic(errBroken) }, "a over " + wire + ", b over a, c over b", "b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var order []string
			s := startServer(t, func(_ *testServer, cfg *inbound.ServerConfig) {
				cfg.Transports = []core.Transport{tagged{"a", nil, &order}, tagged{"b", nil, &order}, tagged{"c", tc.end, &order}}
			})
			s.dial(t, "wrong\n")
			f := coretest.Await(t, "the failure", s.fails)
			if got := wireName(f.conn); got != tc.on {
				t.Errorf("fail: got the stream of %s, want of %s", got, tc.on)
			}
			if got := strings.Join(order, ", "); got != tc.order {
				t.Errorf("order: got %s, want %s", got, tc.order)
			}
			if n := s.begun.Load(); (n == 0) != (tc.end != nil) {
				t.Errorf("handshakes: got %d", n)
			}
			failedOnce(t, s, 1)
		})
	}
}
