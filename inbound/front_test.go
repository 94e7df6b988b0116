package inbound_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/inbound"
)

// lineFront is a front that says a line: the client, "-" for none, or something
// wrong.
type lineFront struct {
	distrusts bool
	timeout   time.Duration
	begun     chan struct{} // gets one for each ReadClient, as far as there is room
}

func (f *lineFront) Trusts(netip.Addr) bool { return !f.distrusts }
func (f *lineFront) Timeout() time.Duration { return f.timeout }

func (f *lineFront) ReadClient(conn core.Stream) (netip.AddrPort, error) {
	select {
	case f.begun <- struct{}{}:
	default:
	}
	var text []byte
	for one := make([]byte, 1); ; text = append(text, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return netip.AddrPort{}, err
		}
		if one[0] == '\n' {
			break
		}
	}
	switch string(text) {
	case "-":
		return netip.AddrPort{}, nil
	case "panic":
		panicInProtocol()
	}
	return netip.ParseAddrPort(string(text))
}

// startBehind returns a server behind f whose log has everything.
func startBehind(t testing.TB, f *lineFront, edit func(*testServer, *inbound.ServerConfig)) *testServer {
	t.Helper()
	f.begun = make(chan struct{}, 1)
	if f.timeout == 0 {
		f.timeout = time.Minute
	}
	return startServer(t, func(s *testServer, cfg *inbound.ServerConfig) {
		cfg.Front = f
		cfg.Env.Log = slog.New(slog.NewTextHandler(s.lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if edit != nil {
			edit(s, cfg)
		}
	})
}

// The client is the named one to gates, the request and its events, and the stream
// that the handler gets is the bare connection, with every byte.
func TestFrontNamesClient(t *testing.T) {
	for _, tc := range []struct{ text, client string }{
		{"192.0.2.7:4711\nok\n", "192.0.2.7:4711"},
		{"[::ffff:192.0.2.7]:4711\nok\n", "192.0.2.7:4711"},
		{"[2001:db8::7]:4711\nok\n", "[2001:db8::7]:4711"},
	} {
		t.Run(tc.client, func(t *testing.T) {
			asked := make(chan core.Client, 1)
			s := startBehind(t, new(lineFront), func(s *testServer, _ *inbound.ServerConfig) {
				s.h.Deny = func(c core.Client) error {
					asked <- c
					return nil
				}
			})
			c := s.dial(t, tc.text+"payload")
			next := s.h.Next(t)
			want := core.Client{Addr: netip.MustParseAddrPort(tc.client), Network: "tcp", Inbound: "test"}
			if got := coretest.Await(t, "the gate to be asked", asked); got != want {
				t.Errorf("admit: got %+v, want %+v", got, want)
			}
			if r := next.Request; r.Client.Addr != want.Addr || r.Client.Unattributed {
				t.Errorf("request: got client %v, unattributed %t, want %v", r.Client.Addr, r.Client.Unattributed, want.Addr)
			}
			near, err := next.Pending.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			if netio.Bare(near) == nil {
				t.Errorf("stream: got a %T, want a bare connection", near)
			}
			coretest.Read(t, near, []byte("payload"))
			coretest.Write(t, near, []byte("down"))
			coretest.Read(t, c, []byte("down"))
		})
	}
}

// A failure is the named client's.
func TestFrontFailedHandshake(t *testing.T) {
	s := startBehind(t, new(lineFront), nil)
	s.dial(t, "192.0.2.7:4711\nwrong\n")
	if e := s.h.WaitEnds(t, 1)[0]; e.Client.Addr.String() != "192.0.2.7:4711" || !errors.Is(e.Err, core.ErrAuth) {
		t.Errorf("event: got %+v, want core.ErrAuth of 192.0.2.7:4711", e)
	}
	coretest.Eventually(t, "the line", func() bool {
		return len(s.lines.With("level=WARN", `msg="handshake failed"`, "client=192.0.2.7:4711")) == 1
	})
}

// A client that a gate refuses is refused, and no other client of the same front.
func TestFrontRefusedClient(t *testing.T) {
	s := startBehind(t, new(lineFront), func(s *testServer, _ *inbound.ServerConfig) {
		s.h.Deny = func(c core.Client) error {
			if c.Addr.Addr() == netip.MustParseAddr("192.0.2.7") {
				return core.ErrDenied
			}
			return nil
		}
	})
	s.dial(t, "192.0.2.7:1\nok\n")
	if f := coretest.Await(t, "the refusal", s.fails); !errors.Is(f.err, core.ErrDenied) || netio.Bare(f.conn) == nil {
		t.Errorf("fail: got %v on %T, want core.ErrDenied on a bare connection", f.err, f.conn)
	}
	s.exchange(t, s.dial(t, "192.0.2.8:1\nok\n"))
}

// Where no client is known, the balancer's address is nobody's: no gate is asked or
// told, and silence is no news. The balancer that names its own end means itself.
func TestFrontUnattributed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header func(own string) string
	}{
		{"none", func(string) string { return "-\n" }},
		{"its own end", func(own string) string { return own + "\n" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startBehind(t, new(lineFront), func(s *testServer, _ *inbound.ServerConfig) {
				s.h.Deny = func(c core.Client) error {
					t.Errorf("a gate was asked about %v", c)
					return core.ErrDenied
				}
			})
			served := s.dial(t, "")
			coretest.Write(t, served, []byte(tc.header(served.LocalAddr().String())+"ok\n"))
			r := s.exchange(t, served)
			if own := served.LocalAddr().String(); r.Client.Addr.String() != own || !r.Client.Unattributed {
				t.Errorf("request: got client %v, unattributed %t, want %s, true", r.Client.Addr, r.Client.Unattributed, own)
			}
			silent := s.dial(t, "")
			coretest.Write(t, silent, []byte(tc.header(silent.LocalAddr().String())))
			silent.Close()
			coretest.Await(t, "the end of the silent one", s.fails)
			wrong := s.dial(t, "")
			coretest.Write(t, wrong, []byte(tc.header(wrong.LocalAddr().String())+"wrong\n"))
			coretest.Await(t, "the end of the wrong one", s.fails)
			if events := s.h.Events(); len(events) != 0 {
				t.Errorf("events: got %v, want none", events)
			}
			if got := s.lines.With("level=WARN"); len(got) != 1 {
				t.Errorf("warnings: got %q, want the one of the wrong handshake", got)
			}
		})
	}
}

// Bad headers are nobody's failure: the connection ends with a FIN whatever came
// behind them, and no gate hears of it.
func TestFrontBadHeader(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		level      string
	}{
		{"wrong", "who?\n" + string(make([]byte, 8000)), "WARN"},
		{"panic", "panic\n", "ERROR"},
		{"nothing in time", "", "WARN"},
		{"too little in time", "192.0.2.7", "WARN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startBehind(t, &lineFront{timeout: short}, nil)
			c := s.dial(t, tc.text)
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("read: got %d, %v, want io.EOF", n, err)
			}
			coretest.Eventually(t, "the line", func() bool { return len(s.lines.With("level="+tc.level, c.LocalAddr().String())) == 1 })
			nobodys(t, s)
		})
	}
	t.Run("nothing", func(t *testing.T) {
		s := startBehind(t, new(lineFront), nil)
		s.dial(t, "").Close()
		coretest.Eventually(t, "the line", func() bool { return len(s.lines.With("level=DEBUG", `msg="proxy header"`)) == 1 })
		nobodys(t, s)
	})
}

// nobodys checks that neither a gate nor the kind has heard of a connection.
func nobodys(t *testing.T, s *testServer) {
	t.Helper()
	if events, n := s.h.Events(), s.begun.Load(); len(events) != 0 || n != 0 || len(s.fails) != 0 {
		t.Errorf("got events %v, %d handshakes, %d fails, want none", events, n, len(s.fails))
	}
}

// Whoever is not the front is dropped unread, as a failed handshake of its own
// address, whatever it says.
func TestFrontUntrusted(t *testing.T) {
	s := startBehind(t, &lineFront{distrusts: true}, func(_ *testServer, cfg *inbound.ServerConfig) {
		var order []string
		cfg.Transports = []core.Transport{tagged{"unused", func() error { panic("asked") }, &order}}
	})
	c := s.dial(t, "192.0.2.7:4711\nok\n")
	f := coretest.Await(t, "the failure", s.fails)
	if !errors.Is(f.err, core.ErrUntrusted) || !errors.Is(f.err, core.ErrDenied) || netio.Bare(f.conn) == nil || f.deadline.IsZero() {
		t.Errorf("fail: got %v on %T, deadline %v, want core.ErrUntrusted on a bare connection", f.err, f.conn, f.deadline)
	}
	e := s.h.WaitEnds(t, 1)[0]
	if e.Client.Addr.String() != c.LocalAddr().String() || !errors.Is(e.Err, core.ErrUntrusted) || e.Kind != core.HandshakeFailed {
		t.Errorf("event: got %+v, want a failed handshake of %v", e, c.LocalAddr())
	}
	if n := s.begun.Load(); n != 0 {
		t.Errorf("handshakes: got %d, want 0", n)
	}
	if got := s.lines.With("192.0.2.7"); len(got) != 0 {
		t.Errorf("the forged address is in %q", got)
	}
}

// The time of a handshake begins behind the header.
func TestFrontDeadline(t *testing.T) {
	f := new(lineFront)
	s := startBehind(t, f, func(_ *testServer, cfg *inbound.ServerConfig) { cfg.Timeout = short })
	c := s.dial(t, "")
	coretest.Await(t, "the reading of the header", f.begun)
	named := time.Now()
	coretest.Write(t, c, []byte("192.0.2.7:4711\n"))
	if got := coretest.Await(t, "the deadline", s.fails); got.deadline.Before(named.Add(short)) || got.at.Before(got.deadline) {
		t.Errorf("fail: got called %s after the header with a deadline %s after it, want %s", got.at.Sub(named), got.deadline.Sub(named), short)
	}
}

// The front is not one source; each of its clients is.
func TestFrontSources(t *testing.T) {
	const most = 64 // of one source
	var known atomic.Int64
	s := startBehind(t, new(lineFront), func(s *testServer, cfg *inbound.ServerConfig) {
		cfg.Timeout, cfg.PerClient = time.Minute, most
		s.h.Gate.Deny = func(c core.Client) error {
			if c.Addr.Addr() == netip.MustParseAddr("198.51.100.1") {
				known.Add(1)
			}
			return nil
		}
	})
	var others, crowd []*net.TCPConn
	for i := range 2 * most {
		others = append(others, s.dial(t, fmt.Sprintf("192.0.2.%d:1\n", i)))
		s.dial(t, "-\n")
	}
	for i := range most + 1 {
		crowd = append(crowd, s.dial(t, "198.51.100.1:"+strconv.Itoa(i)+"\n"))
		if i < most {
			coretest.Eventually(t, "one of the crowd to be known", func() bool { return known.Load() == int64(i+1) })
		}
	}
	if f := coretest.Await(t, "the last of the crowd to be refused", s.fails); f.conn.RemoteAddr().String() != crowd[most].LocalAddr().String() {
		t.Errorf("refused: got %v, want %v", f.conn.RemoteAddr(), crowd[most].LocalAddr())
	}
	for _, c := range append(others, crowd[:most]...) {
		coretest.Write(t, c, []byte("ok\n"))
		s.exchange(t, c)
	}
	if len(s.fails) != 0 {
		t.Errorf("more made room: %v", (<-s.fails).conn.RemoteAddr())
	}
}

// A shutdown ends those whose header has not come.
func TestFrontShutdown(t *testing.T) {
	f := new(lineFront)
	s := startBehind(t, f, nil)
	c := s.dial(t, "")
	coretest.Await(t, "the reading of the header", f.begun)
	s.drop(t)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: got %v, want io.EOF", err)
	}
	if got := s.lines.With("proxy header"); len(got) != 0 {
		t.Errorf("logged %q, want nothing: it is our doing", got)
	}
	nobodys(t, s)
}
