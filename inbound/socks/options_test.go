package socks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// options returns options as a file with nothing but listen gives them.
func options(t *testing.T, listen string) Options {
	t.Helper()
	o := Options{Options: inbound.Options{MaxHandshakes: 4096, ClientHandshakes: 64, MaxSessions: 64, ClientSessions: 64}}
	for text := range strings.FieldsSeq(listen) {
		var l option.Listen
		if err := l.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		o.Listen = append(o.Listen, l)
	}
	return o
}

// env returns the environment of a component whose log goes to w.
func env(w io.Writer) core.Env {
	return core.Env{
		Section: core.SectionInbound,
		Name:    "socks5",
		Log:     slog.New(slog.NewTextHandler(w, nil)),
		Process: new(core.Process),
	}
}

func TestNew(t *testing.T) {
	bob := map[string]option.Text{"bob": "secret"}
	for _, tc := range []struct {
		name   string
		listen string
		users  map[string]option.Text
		open   bool
		key    string // of the error, "" for none
		text   string // part of the error
		warns  bool
	}{
		{"loopback", "127.0.0.1:1080", nil, false, "", "", false},
		{"other loopback", "127.1.2.3:1080", nil, false, "", "", false},
		{"IPv6 loopback", "[::1]:1080", nil, false, "", "", false},
		{"mapped loopback", "[::ffff:127.0.0.1]:1080", nil, false, "", "", false},
		{"loopback, allowed to be open", "127.0.0.1:1080", nil, true, "", "", false},
		{"every address", ":1080", nil, false, "listen.0", `:1080 is open to other machines and there are no users; add users, listen on "127.0.0.1:1080", or set allow_open = true`, false},
		{"every IPv4 address", "0.0.0.0:1080", nil, false, "listen.0", "0.0.0.0:1080 is open", false},
		{"an address", "192.0.2.1:1080", map[string]option.Text{}, false, "listen.0", "192.0.2.1:1080 is open", false},
		{"localhost", "localhost:1080", nil, false, "", "", false},
		{"a name", "proxy.example:1080", nil, false, "listen.0", "proxy.example:1080 is open", false},
		{"second of a list", "127.0.0.1:1080 192.0.2.1:1080", nil, false, "listen.1", "192.0.2.1:1080 is open", false},
		{"every address, allowed", ":1080", nil, true, "", "", true},
		{"every address, users", ":1080", bob, false, "", "", false},
		{"every address, users, allowed", ":1080", bob, true, "", "", false},
		{"bad user", "127.0.0.1:1080", map[string]option.Text{"bob": ""}, false, "users", "empty password", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, tc.listen)
			o.Users, o.AllowOpen = tc.users, tc.open
			var log bytes.Buffer
			in, err := New(env(&log), o)
			if tc.key == "" && (in == nil || err != nil) {
				t.Errorf("got %v, %v, want an inbound", in, err)
			}
			if tc.key != "" {
				bad, ok := errors.AsType[*core.OptionError](err)
				if !ok || bad.Key != tc.key || !strings.Contains(bad.Err.Error(), tc.text) {
					t.Errorf("got %v, want the key %s and %q", err, tc.key, tc.text)
				}
			}
			if warned := strings.Contains(log.String(), "level=WARN"); warned != tc.warns {
				t.Errorf("got warning %t, want %t; log:\n%s", warned, tc.warns, &log)
			}
			if strings.Contains(log.String(), "secret") {
				t.Errorf("the log has a password:\n%s", &log)
			}
		})
	}
}

// echo is a Handler that answers each stream with its own bytes.
type echo struct{}

func (echo) HandleStream(_ context.Context, r *core.Request, p core.Pending, _ func()) {
	if r.Target.Name() == "forbidden.example" {
		p.Reject(core.ErrDenied)
		return
	}
	s, err := p.Accept()
	if err != nil {
		return
	}
	defer s.Close()
	if _, err := s.Write(r.Payload); err != nil {
		return
	}
	_, _ = io.Copy(s, s) // the client sees what is missing
}

func (echo) HandlePackets(context.Context, *core.Request, core.PendingPackets, func()) core.Association {
	return nil
}
func (echo) Admit(core.Client) error { return nil }
func (echo) Observe(core.Event)      {}

// freeAddress returns a loopback address that nobody listened on just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestInboundServes(t *testing.T) {
	addr := freeAddress(t)
	o := options(t, addr)
	o.Users = map[string]option.Text{"bob": "secret"}
	in, err := New(env(io.Discard), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- in.Serve(t.Context(), echo{}) }()

	for _, tc := range []struct{ name, say, want string }{
		{"served", helloLogin + loginBob + toName + "hello", "\x05\x02\x01\x00" + ok + "hello"},
		{"denied", helloLogin + loginBob + "\x05\x01\x00\x03\x11forbidden.example\x00\x50", "\x05\x02\x01\x00" + reply(2)},
		{"wrong password", helloLogin + "\x01\x03bob\x01x" + toName, "\x05\x02\x01\x01"},
		{"no method", hello + toName, "\x05\xff"},
		{"bind", helloLogin + loginBob + "\x05\x02\x00\x01\xc0\x00\x02\x07\x00\x50", "\x05\x02\x01\x00" + reply(7)},
		{"another protocol", "\x16", ""},
		{"nothing", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, tc.say); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if string(got) != tc.want || err != nil {
				t.Errorf("said %x: got %x, %v, want %x", tc.say, got, err, tc.want)
			}
		})
	}

	if err := in.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}
