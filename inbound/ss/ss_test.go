package ss

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func env(c core.Cipher) core.Env {
	return core.Env{
		Section: core.SectionInbound, Name: "ss", Log: slog.New(slog.DiscardHandler),
		Graph: coretest.Graph{core.Ref[core.Cipher]("house"): c}, Process: new(core.Process),
	}
}

// options are those of a file that gives listen and cipher.
func options(t testing.TB, listen string) Options {
	t.Helper()
	o := Options{Cipher: "house", Options: inbound.Options{MaxHandshakes: 4096, ClientHandshakes: 64, MaxSessions: 64, ClientSessions: 64}}
	o.Listen = make(option.ListenList, 1)
	if err := o.Listen[0].UnmarshalText([]byte(listen)); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNew(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Options)
		key    string // of the error
		fails  bool
	}{
		{"defaults", func(*Options) {}, "", false},
		{"timeout", func(o *Options) { o.HandshakeTimeout = option.Duration(time.Second) }, "", false},
		{"negative timeout", func(o *Options) { o.HandshakeTimeout = -1 }, "handshake_timeout", true},
		{"no handshakes", func(o *Options) { o.MaxHandshakes = 0 }, "max_handshakes", true},
		{"unknown cipher", func(o *Options) { o.Cipher = "none" }, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, "127.0.0.1:8388")
			tc.change(&o)
			in, err := New(env(newCipher(t)), o)
			if (err != nil) != tc.fails || (in == nil) != tc.fails {
				t.Fatalf("got %v, %v, want an error: %t", in, err, tc.fails)
			}
			if bad, ok := errors.AsType[*core.OptionError](err); ok != (tc.key != "") || ok && bad.Key != tc.key {
				t.Errorf("got %v, want the key %q", err, tc.key)
			}
		})
	}
}

// pipeline echoes each request's stream, and keeps what it is told.
type fakePipeline struct {
	mu     sync.Mutex
	served int          // requests
	events []core.Event // of failures
}

func (p *fakePipeline) HandleStream(_ context.Context, r *core.Request, client core.Pending, _ func()) {
	p.mu.Lock()
	p.served++
	p.mu.Unlock()
	s, err := client.Accept()
	if err != nil {
		return
	}
	defer s.Close()
	if _, err := s.Write(r.Payload); err != nil {
		return
	}
	_, _ = io.Copy(s, s) // the client sees what is missing
}

func (*fakePipeline) HandlePackets(context.Context, *core.Request, core.PendingPackets, func()) core.Association {
	return nil
}

func (*fakePipeline) Admit(core.Client) error { return nil }

func (p *fakePipeline) Observe(e core.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
}

func (p *fakePipeline) seen() (served int, events []core.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.served, p.events
}

// serve starts an inbound on loopback, ended with the test, and returns its
// address.
func serve(t *testing.T, c core.Cipher, wait time.Duration, p *fakePipeline) netip.AddrPort {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	o := options(t, free.Addr().String())
	o.HandshakeTimeout = option.Duration(wait)
	o.Mode = "tcp" // the UDP port of that number may be another's
	s, err := New(env(c), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.WithoutCancel(t.Context()), p) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // drop what probes left behind
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return o.Listen[0].AddrPort()
}

func dial(t testing.TB, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestProbesOverTCP sends probes of all kinds at once: each is met by silence up
// to the timeout, and by an end in order, no reset.
func TestProbesOverTCP(t *testing.T) {
	const wait = 400 * time.Millisecond
	p := &fakePipeline{}
	c := newCipher(t)
	addr := serve(t, c, wait, p)
	all := probes(hello(t, newCipher(t), "hello"))
	var group sync.WaitGroup
	for name, probe := range all {
		began := time.Now()
		conn := dial(t, addr)
		group.Go(func() {
			if _, err := conn.Write(probe); err != nil {
				t.Errorf("%s: write: %v", name, err)
			}
			said, err := io.ReadAll(conn)
			if len(said) > 0 || err != nil {
				t.Errorf("%s: the server said %d bytes and ended with %v", name, len(said), err)
			}
			if took := time.Since(began); took < wait {
				t.Errorf("%s: the server ended after %s, before its timeout", name, took)
			}
		})
	}
	group.Wait()
	served, events := p.seen()
	if served != 0 || len(events) != len(all) {
		t.Errorf("got %d requests and %d events, want 0 and %d", served, len(events), len(all))
	}
	for _, e := range events {
		if e.Kind != core.HandshakeFailed || e.Authenticated || !e.Client.Addr.IsValid() {
			t.Errorf("got %s, authenticated %t, from %s", e.Kind, e.Authenticated, e.Client.Addr)
		}
	}
}

// TestProbeThenFINOverTCP would not end before its deadline if the server waited
// for its own.
func TestProbeThenFINOverTCP(t *testing.T) {
	addr := serve(t, newCipher(t), time.Hour, &fakePipeline{})
	for _, n := range []int{0, 1, 49, 50, 51, 221, 20000} {
		conn := dial(t, addr)
		if _, err := conn.Write(noise(n)); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if said, err := io.ReadAll(conn); len(said) > 0 || err != nil {
			t.Errorf("%d bytes: the server said %d bytes and ended with %v", n, len(said), err)
		}
	}
}

// TestServed sends a request and its recording: the second reaches no target.
func TestServed(t *testing.T) {
	const wait = 300 * time.Millisecond
	p := &fakePipeline{}
	addr := serve(t, newCipher(t), wait, p)
	client := newCipher(t)
	var flight []byte
	to := core.AddrFrom(netip.MustParseAddrPort("192.0.2.1:80"))
	s, err := client.DialStream(to, []byte("hello, "), func(hello []byte) (core.Stream, error) {
		flight = bytes.Clone(hello)
		conn := dial(t, addr)
		_, err := conn.Write(hello)
		return conn, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Write([]byte("world")); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); string(got) != "hello, world" || err != nil {
		t.Errorf("got %q, %v, want hello, world", got, err)
	}
	for range 2 {
		began := time.Now()
		conn := dial(t, addr)
		if _, err := conn.Write(flight); err != nil {
			t.Fatal(err)
		}
		if said, err := io.ReadAll(conn); len(said) > 0 || err != nil || time.Since(began) < wait {
			t.Errorf("replay: the server said %d bytes and ended with %v after %s", len(said), err, time.Since(began))
		}
	}
	served, events := p.seen()
	if served != 1 || len(events) != 2 || !errors.Is(events[0].Err, core.ErrReplay) {
		t.Errorf("got %d requests and events %v, want 1 and two replays", served, events)
	}
}
