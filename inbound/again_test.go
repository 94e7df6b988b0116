package inbound_test

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/panics"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/inbound"
)

// turns is a server of a protocol with several requests on a connection. A request is
// a line: "open" makes one for a stream, whose bytes are the client's next line and,
// as the answer, what comes before a point; "panic" panics.
type turns struct {
	*testServer
	gate    coretest.Gate
	targets chan core.Stream // the far ends of what was dialled
	again   chan error       // what Again returned
	dialErr error
	after   func() // called between a request and Again
}

// startTurns serves with a real pipeline. edit may be nil.
func startTurns(t *testing.T, edit func(*turns, *inbound.ServerConfig)) *turns {
	t.Helper()
	s := &turns{targets: make(chan core.Stream, 16), again: make(chan error, 16), after: func() {}}
	s.testServer = startServer(t, func(ts *testServer, cfg *inbound.ServerConfig) {
		ts.handler = pipeline.New(pipeline.Config{
			Name: "test", Log: coretest.Log(t), Gates: []core.Gate{&s.gate}, DialTimeout: coretest.Patience, IdleTimeout: coretest.Patience,
			Dialer: &coretest.Dialer{Stream: s.dialTarget},
		})
		cfg.Handshake = s.handshake
		if edit != nil {
			edit(s, cfg)
		}
	})
	return s
}

func (s *turns) dialTarget(context.Context, *core.Request) (core.Stream, error) {
	if s.dialErr != nil {
		return nil, s.dialErr
	}
	near, far := coretest.Pipe()
	s.targets <- far
	return near, nil
}

func (s *turns) handshake(_ context.Context, conn core.Stream, _ core.Client, next inbound.Requests) error {
	for {
		text, err := readLine(conn)
		if err != nil {
			return err
		}
		if text == "panic" {
			panicInProtocol()
		}
		ended := make(chan struct{})
		next.Stream(&core.Request{Target: coretest.Target, Ended: func() { close(ended) }}, &turn{Stream: conn})
		<-ended
		s.after()
		err = next.Again()
		s.again <- err
		if err != nil {
			return err
		}
	}
}

func readLine(r io.Reader) (string, error) {
	var text []byte
	for one := make([]byte, 1); ; text = append(text, one[0]) {
		if _, err := io.ReadFull(r, one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return string(text), nil
		}
	}
}

// turn is the stream of one request, and its pending client.
type turn struct {
	core.Stream // of the connection, which stays open
	ended       bool
	close       sync.Once
}

func (p *turn) Accept() (core.Stream, error) {
	_, err := p.Write([]byte("+"))
	return p, err
}

func (p *turn) Reject(error) { _, _ = p.Write([]byte("-")) }

func (p *turn) Read(b []byte) (int, error) {
	if p.ended {
		return 0, io.EOF
	}
	n, err := p.Stream.Read(b[:1])
	if n == 1 && b[0] == '\n' {
		p.ended = true
		return 0, io.EOF
	}
	return n, err
}

func (p *turn) CloseWrite() error { return nil }

func (p *turn) Close() error {
	p.close.Do(func() { _, _ = p.Write([]byte(".")) })
	return nil
}

// ask makes a request on c and takes it to its end.
func (s *turns) ask(t *testing.T, c core.Stream) {
	t.Helper()
	coretest.Write(t, c, []byte("open\nup\n"))
	s.answer(t, c)
}

// answer ends a request that c has made.
func (s *turns) answer(t *testing.T, c core.Stream) {
	t.Helper()
	far := coretest.Await(t, "the dial", s.targets)
	defer far.Close()
	coretest.ReadAll(t, far, []byte("up"))
	coretest.Write(t, far, []byte("down"))
	coretest.CloseWrite(t, far)
	coretest.Read(t, c, []byte("+down."))
}

// kinds checks the kinds of all events, and that each client that was admitted has
// ended once.
func (s *turns) kinds(t *testing.T, want ...core.EventKind) []core.Event {
	t.Helper()
	ends := 0
	for _, k := range want {
		if k.Ends() {
			ends++
		}
	}
	events := s.gate.WaitEnds(t, ends)
	if got := s.gate.Kinds(); !slices.Equal(got, want) {
		t.Errorf("events: got %v, want %v", got, want)
	}
	s.gate.Check(t)
	return events
}

// Three requests follow one another on a connection, and each is a stream of its own
// for the gates. That the client goes then is no failure of anything.
func TestAgain(t *testing.T) {
	s := startTurns(t, nil)
	c := s.dial(t, "")
	for range 3 {
		s.ask(t, c)
		if err := coretest.Await(t, "again", s.again); err != nil {
			t.Fatalf("again: %v", err)
		}
	}
	c.Close()
	events := s.kinds(t, core.Opened, core.Closed, core.Opened, core.Closed, core.Opened, core.Closed, core.HandshakeFailed)
	if a, b := events[1].Request.ID, events[3].Request.ID; a == b || events[5].Request.ID == b {
		t.Errorf("requests: got the IDs %d, %d and %d, want three", a, b, events[5].Request.ID)
	}
	if err := events[6].Err; !errors.Is(err, core.ErrIdle) || !errors.Is(err, io.EOF) {
		t.Errorf("the end: got %v, want an ErrIdle and io.EOF", err)
	}
	if lines := s.lines.With("level=WARN"); len(lines) > 0 {
		t.Errorf("log: got %q, want no warning", lines)
	}
}

// A request that could not be met ends for the gates before the next one begins.
func TestAgainAfterReject(t *testing.T) {
	s := startTurns(t, func(s *turns, _ *inbound.ServerConfig) { s.dialErr = syscall.ECONNREFUSED })
	c := s.dial(t, "open\nopen\n")
	coretest.Read(t, c, []byte("--"))
	c.Close()
	s.kinds(t, core.DialFailed, core.DialFailed, core.HandshakeFailed)
}

// A gate may refuse the second request, and says how the connection ends.
func TestAgainRefused(t *testing.T) {
	for _, tc := range []struct {
		name    string
		refusal error
		fails   int // calls of Fail
		err     error
	}{
		{"as failed", core.ErrDenied, 1, io.EOF},
		{"reset", &core.Refusal{Err: core.ErrDenied, End: core.EndReset}, 0, syscall.ECONNRESET},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startTurns(t, func(s *turns, _ *inbound.ServerConfig) {
				asked := 0
				s.gate.Deny = func(core.Client) error {
					if asked++; asked == 2 {
						return tc.refusal
					}
					return nil
				}
			})
			c := s.dial(t, "")
			s.ask(t, c)
			if err := coretest.Await(t, "again", s.again); err != tc.refusal {
				t.Errorf("again: got %v, want %v", err, tc.refusal)
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, tc.err) {
				t.Errorf("read: got %v, want %v", err, tc.err)
			}
			s.kinds(t, core.Opened, core.Closed)
			if n := len(s.fails); n != tc.fails {
				t.Errorf("calls of fail: got %d, want %d", n, tc.fails)
			}
		})
	}
}

// A connection whose request ends while the server shuts down, or has, is closed.
func TestAgainShutdown(t *testing.T) {
	s := startTurns(t, nil)
	c := s.dial(t, "open\nup\n")
	coretest.Read(t, c, []byte("+"))
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	far := coretest.Await(t, "the dial", s.targets)
	coretest.ReadAll(t, far, []byte("up"))
	far.Close()
	if err := coretest.Await(t, "again", s.again); err != core.ErrShutdown {
		t.Errorf("again: got %v, want %v", err, core.ErrShutdown)
	}
	coretest.ReadAll(t, c, []byte("."))
	s.kinds(t, core.Opened, core.Closed)
}

// Between two requests a connection is a handshake: it has a deadline.
func TestAgainTimeout(t *testing.T) {
	s := startTurns(t, func(_ *turns, cfg *inbound.ServerConfig) { cfg.Timeout = time.Second })
	c := s.dial(t, "")
	s.ask(t, c)
	f := coretest.Await(t, "the deadline", s.fails)
	if !errors.Is(f.err, os.ErrDeadlineExceeded) || !errors.Is(f.err, core.ErrIdle) || f.at.Before(f.deadline) {
		t.Errorf("fail: got %v at %v with the deadline %v, want an ErrIdle after it", f.err, f.at, f.deadline)
	}
	coretest.ReadAll(t, c, nil)
	s.kinds(t, core.Opened, core.Closed, core.HandshakeFailed)
}

// Between two requests a connection counts for the bound on handshakes, and during
// one it does not.
func TestAgainBound(t *testing.T) {
	s := startTurns(t, func(_ *turns, cfg *inbound.ServerConfig) { cfg.Max = 1 })
	idle := s.dial(t, "open\nup\n")
	far := coretest.Await(t, "the dial", s.targets)
	coretest.Read(t, idle, []byte("+"))
	s.ask(t, s.dial(t, "")) // it is idle then, and makes room
	if err := coretest.Await(t, "again", s.again); err != nil {
		t.Fatalf("again: %v", err)
	}
	coretest.ReadAll(t, far, []byte("up"))
	far.Close()
	coretest.Read(t, idle, []byte("."))
	if err := coretest.Await(t, "again", s.again); err != nil {
		t.Fatalf("again: %v", err)
	}
	s.ask(t, s.dial(t, ""))
	coretest.ReadAll(t, idle, nil)
}

// A panic ends the connection, whether it comes with the second request or between
// the two.
func TestAgainPanics(t *testing.T) {
	for _, between := range []bool{false, true} {
		s := startTurns(t, func(s *turns, _ *inbound.ServerConfig) {
			if between {
				s.after = panicInProtocol
			}
		})
		c := s.dial(t, "")
		s.ask(t, c)
		if between {
			s.kinds(t, core.Opened, core.Closed)
		} else {
			coretest.Write(t, c, []byte("panic\n"))
			if e := s.kinds(t, core.Opened, core.Closed, core.HandshakeFailed)[2]; e.Err == nil || errors.Is(e.Err, core.ErrIdle) {
				t.Errorf("event: got %v, want the panic", e.Err)
			} else if _, ok := errors.AsType[*panics.Error](e.Err); !ok {
				t.Errorf("event: got %v, want a panic", e.Err)
			}
		}
		coretest.ReadAll(t, c, nil)
		coretest.Eventually(t, "the panic's line", func() bool {
			return len(s.lines.With("level=ERROR", "a mistake in a protocol", "panicInProtocol")) == 1
		})
	}
}
