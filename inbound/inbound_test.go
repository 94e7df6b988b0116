package inbound_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line is a protocol for tests: the client writes its target as a line, the
// server answers "+" or "-".
type line struct{}

func (line) Handshake(_ context.Context, conn core.Stream, _ core.Client, next inbound.Requests) error {
	var text []byte
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(conn, one); err != nil {
			return fmt.Errorf("request: %w", err)
		}
		if one[0] == '\n' {
			break
		}
		text = append(text, one[0])
	}
	if string(text) == "panic" {
		panic("a mistake in a protocol")
	}
	target, err := core.ParseAddr(string(text))
	if err != nil {
		return err
	}
	next.Stream(&core.Request{Target: target}, pending{conn})
	return nil
}

func (line) Fail(core.Stream, time.Time, error) {}

type pending struct{ core.Stream }

func (p pending) Accept() (core.Stream, error) {
	_, err := p.Write([]byte("+"))
	return p.Stream, err
}

func (p pending) Reject(error) {
	_, _ = p.Write([]byte("-"))
	p.Close()
}

// options are what a file would say.
func options(t testing.TB, at netip.AddrPort) inbound.Options {
	t.Helper()
	return inbound.Options{Listen: option.ListenList{option.ListenOn(at)}, HandshakeTimeout: option.Duration(time.Minute), MaxHandshakes: 64, ClientHandshakes: 64, MaxSessions: 64, ClientSessions: 64}
}

// ask sends a request and returns a function that reads the answer.
func ask(conn core.Stream, target core.Addr) (finish func() (core.Stream, error), err error) {
	if _, err := fmt.Fprintf(conn, "%s\n", target); err != nil {
		return nil, err
	}
	return func() (core.Stream, error) {
		answer := make([]byte, 1)
		if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != '+' {
			return nil, fmt.Errorf("answer %q: %w", answer, err)
		}
		return conn, nil
	}, nil
}

func TestInbound(t *testing.T) {
	coretest.TestInbound(t, coretest.InboundKit{
		New: func(t testing.TB, env core.Env, at netip.AddrPort) core.Inbound {
			in, err := inbound.New(env, options(t, at), line{})
			if err != nil {
				t.Fatal(err)
			}
			return in
		},
		Request: func(t testing.TB, conn *net.TCPConn, target core.Addr) func() (core.Stream, error) {
			finish, err := ask(conn, target)
			if err != nil {
				t.Fatal(err)
			}
			return finish
		},
	})
}

func TestNewChecksOptions(t *testing.T) {
	errCheck := errors.New("no certificate")
	env := coretest.Env(t)
	env.Graph = coretest.Graph{
		core.Ref[core.Transport]("good"): shout{}, core.Ref[core.Transport]("bad"): checked{err: errCheck}, core.Ref[core.Transport]("checked"): checked{},
	}
	for _, tc := range []struct {
		name string
		edit func(*inbound.Options)
		key  string // that the error names; "" for success
	}{
		{"as it is", func(*inbound.Options) {}, ""},
		{"transports", func(o *inbound.Options) { o.Mode, o.Transport = "tcp", []core.Ref[core.Transport]{"good", "checked"} }, ""},
		{"UDP beside a transport", func(o *inbound.Options) { o.Transport = []core.Ref[core.Transport]{"good"} }, "mode"},
		{"UDP alone beside a transport", func(o *inbound.Options) { o.Mode, o.Transport = "udp", []core.Ref[core.Transport]{"good"} }, "mode"},
		{"no sessions", func(o *inbound.Options) { o.MaxSessions = 0 }, "max_sessions"},
		{"no sessions of a client", func(o *inbound.Options) { o.ClientSessions = -1 }, "client_sessions"},
		{"no sessions without UDP", func(o *inbound.Options) { o.Mode, o.MaxSessions, o.ClientSessions = "tcp", 0, 0 }, ""},
		{"no handshakes", func(o *inbound.Options) { o.MaxHandshakes = 0 }, "max_handshakes"},
		{"negative handshakes", func(o *inbound.Options) { o.MaxHandshakes = -1 }, "max_handshakes"},
		{"no timeout", func(o *inbound.Options) { o.HandshakeTimeout = 0 }, "handshake_timeout"},
		{"behind a balancer", func(o *inbound.Options) { o.ProxyProtocol, o.Mode = behind(t, "::1").ProxyProtocol, "tcp" }, ""},
		{"UDP beside a balancer", func(o *inbound.Options) { o.ProxyProtocol = behind(t, "::1").ProxyProtocol }, "mode"},
		{"UDP alone beside a balancer", func(o *inbound.Options) { o.ProxyProtocol, o.Mode = behind(t, "::1").ProxyProtocol, "udp" }, "mode"},
		{"behind nobody", func(o *inbound.Options) { o.ProxyProtocol, o.Mode = behind(t).ProxyProtocol, "tcp" }, "proxy_protocol.trusted"},
		{"no time for a header", func(o *inbound.Options) {
			o.ProxyProtocol, o.Mode = behind(t, "::1").ProxyProtocol, "tcp"
			o.ProxyProtocol.Timeout = 0
		}, "proxy_protocol.timeout"},
		{"bad transport", func(o *inbound.Options) { o.Mode, o.Transport = "tcp", []core.Ref[core.Transport]{"good", "bad"} }, "transport"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, netip.MustParseAddrPort("127.0.0.1:1080"))
			tc.edit(&o)
			in, err := inbound.New(env, o, line{})
			if tc.key == "" {
				if in == nil || err != nil {
					t.Errorf("got %v, %v, want an inbound", in, err)
				}
				return
			}
			var option *core.OptionError
			if in != nil || !errors.As(err, &option) || option.Key != tc.key {
				t.Errorf("got %v, %v, want an error for %s", in, err, tc.key)
			}
		})
	}
	o := options(t, netip.MustParseAddrPort("127.0.0.1:1080"))
	o.Transport = []core.Ref[core.Transport]{"unknown"}
	if in, err := inbound.New(env, o, line{}); in != nil || err == nil {
		t.Errorf("unknown transport: got %v, %v, want an error", in, err)
	}
}

// shout is a transport for tests that begins with a line of its own: the client
// sends its name, the server reads it.
type shout struct{ name string }

func (s shout) Client(_ context.Context, wire core.Stream, _ core.Addr) (core.Stream, error) {
	_, err := fmt.Fprintf(wire, "%s\n", s.name)
	return wire, err
}

func (s shout) Server(_ context.Context, wire core.Stream) (core.Stream, error) {
	name, err := bufio.NewReaderSize(oneByte{wire}, 16).ReadString('\n')
	if err != nil {
		return nil, err
	}
	if name != s.name+"\n" {
		return nil, fmt.Errorf("%w: transport %q", core.ErrMalformed, name)
	}
	return wire, nil
}

// oneByte keeps a buffered reader from reading ahead.
type oneByte struct{ core.Stream }

func (o oneByte) Read(b []byte) (int, error) { return o.Stream.Read(b[:min(1, len(b))]) }

// checked is a transport that knows what its server's side lacks.
type checked struct {
	shout
	err error
}

func (c checked) CheckServer() error { return c.err }
