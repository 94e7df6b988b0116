package tunnel

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options returns options of a tunnel on at to a target.
func options(t testing.TB, at netip.AddrPort, target string, mode option.Mode) Options {
	t.Helper()
	o := Options{Options: inbound.Options{
		Listen: option.ListenList{option.ListenOn(at)}, MaxHandshakes: 64, ClientHandshakes: 64, MaxSessions: 64, ClientSessions: 64,
		Mode: mode, HandshakeTimeout: option.Duration(time.Minute),
	}}
	if err := o.Target.UnmarshalText([]byte(target)); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestInbound(t *testing.T) {
	coretest.TestInbound(t, coretest.InboundKit{
		AtOnce: true,
		New: func(t testing.TB, env core.Env, at netip.AddrPort) core.Inbound {
			in, err := New(env, options(t, at, coretest.InboundTarget.String(), "tcp"))
			if err != nil {
				t.Fatal(err)
			}
			return in
		},
		Request: func(_ testing.TB, conn *net.TCPConn, _ core.Addr) func() (core.Stream, error) {
			return func() (core.Stream, error) { return conn, nil }
		},
	})
}

// front is a transport, which carries streams alone.
type front struct{ core.Transport }

func TestNew(t *testing.T) {
	for _, tc := range []struct {
		name, target string
		mode         option.Mode
		edit         func(*Options)
		key          string
	}{
		{"both", "dns.test:53", "both", nil, ""},
		{"udp", "[2001:db8::1]:53", "udp", nil, ""},
		{"port 0", "192.0.2.1:0", "tcp", nil, "target"},
		{"no sessions", "192.0.2.1:1", "udp", func(o *Options) { o.MaxSessions = 0 }, "max_sessions"},
		{"udp over a transport", "192.0.2.1:1", "both", func(o *Options) { o.Transport = []core.Ref[core.Transport]{"front"} }, "mode"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o Options
			if strings.HasSuffix(tc.target, ":0") {
				o = options(t, coretest.AnyPort, "192.0.2.1:1", tc.mode)
				o.Target = option.Server{}
			} else {
				o = options(t, coretest.AnyPort, tc.target, tc.mode)
			}
			if tc.edit != nil {
				tc.edit(&o)
			}
			env := coretest.Env(t)
			env.Graph = coretest.Graph{core.Ref[core.Transport]("front"): front{}}
			in, err := New(env, o)
			bad, ok := errors.AsType[*core.OptionError](err)
			if ok != (tc.key != "") || ok && bad.Key != tc.key || (in == nil) != ok {
				t.Errorf("got %v, %v, want an error for %q", in, err, tc.key)
			}
		})
	}
}

// TestReject: a client whose target can't be reached sees an error, not an empty answer.
func TestReject(t *testing.T) {
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(coretest.AnyPort))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.DialTCP("tcp", nil, ln.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	var asked coretest.Asked
	if err := (handshaker{coretest.Target}).Handshake(t.Context(), conn, core.Client{}, &asked); err != nil {
		t.Fatal(err)
	}
	if asked.Request.Target != coretest.Target {
		t.Errorf("got the target %v, want %v", asked.Request.Target, coretest.Target)
	}
	asked.Reject(core.ErrDenied)
	if n, err := client.Read(make([]byte, 1)); n != 0 || err == nil || strings.Contains(err.Error(), "EOF") {
		t.Errorf("read: got %d, %v, want a reset", n, err)
	}
}

// TestPackets takes datagrams to the target and answers of the target alone back.
func TestPackets(t *testing.T) {
	addr := func(s string) core.Addr {
		a, err := core.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, tc := range []struct {
		target, source string
		good           bool
	}{
		{"192.0.2.1:53", "192.0.2.1:53", true},
		{"192.0.2.1:53", "192.0.2.2:53", false},
		{"192.0.2.1:53", "192.0.2.1:54", false},
		{"dns.test:53", "192.0.2.1:53", true},
		{"dns.test:53", "192.0.2.1:54", false},
	} {
		p := packets{&session{target: addr(tc.target)}}
		o, err := p.Open([]byte("question"), coretest.AnyPort)
		if err != nil || o.Target != addr(tc.target) || string(o.Payload) != "question" || o.Session != p.session || o.Session.User() != "" || p.Roams() {
			t.Errorf("open: got %+v, %v", o, err)
		}
		out, err := o.Session.AppendPacket([]byte("x"), []byte("answer"), addr(tc.source))
		if want := map[bool]string{true: "xanswer", false: "x"}[tc.good]; string(out) != want || (err == nil) != tc.good {
			t.Errorf("an answer of %s from %s: got %q, %v, want %q", tc.target, tc.source, out, err, want)
		}
	}
}
