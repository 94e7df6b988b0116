package socks5

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/inbound"
	"github.com/umbra-proxy/umbra/inbound/socks"
	"github.com/umbra-proxy/umbra/outbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newOutbound returns the outbound of options whose server is server.
func newOutbound(t testing.TB, server string, o Options) *Outbound {
	t.Helper()
	if err := o.Server.UnmarshalText([]byte(server)); err != nil {
		t.Fatal(err)
	}
	if o.AssociateTimeout == 0 {
		o.AssociateTimeout, o.AssociateQueue = option.Duration(10*time.Second), 65536
	}
	out, err := New(coretest.Env(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return out.(*Outbound)
}

// over lays an outbound over wire.
func over(t testing.TB, o core.Outbound, wire core.Dialer) core.Dialer {
	t.Helper()
	d, err := o.Over(wire)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// serve runs an inbound of kind socks5 on loopback, TCP and UDP, until the test ends, and
// returns its address.
func serve(t testing.TB, users map[string]option.Text) string {
	t.Helper()
	env := coretest.Env(t)
	o := socks.Options{UserOptions: inbound.UserOptions{Users: users}, Options: inbound.Options{MaxHandshakes: 64, ClientHandshakes: 64, MaxSessions: 64, ClientSessions: 64}}
	at := coretest.FreeAddr(t).String()
	o.Listen = make(option.ListenList, 1)
	if err := o.Listen[0].UnmarshalText([]byte(at)); err != nil {
		t.Fatal(err)
	}
	in, err := socks.New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := pipeline.New(pipeline.Config{Name: "server", Log: env.Log, Dialer: dial.Net{}, DialTimeout: time.Minute, IdleTimeout: time.Minute})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := in.Serve(context.Background(), p); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := in.Shutdown(ended); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown: %v", err)
		}
		p.Drain(ended, ended)
		serving.Wait()
	})
	return at
}

func TestConformance(t *testing.T) {
	users := map[string]option.Text{"alice": "correct horse"}
	alice := Options{Login: outbound.Login{User: "alice", Password: option.Password{Password: "correct horse"}}}
	pipelined := alice
	pipelined.Pipelining = true
	for _, tc := range []struct {
		name  string
		users map[string]option.Text
		opts  Options
	}{
		{"no login", nil, Options{}},
		{"a login", users, alice},
		{"isolation", nil, Options{Isolate: Isolation{"user"}}},
		{"pipelining", nil, Options{Pipelining: true}},
		{"pipelining with a login", users, pipelined},
	} {
		t.Run(tc.name, func(t *testing.T) {
			coretest.TestOutbound(t, func(t testing.TB) core.Outbound { return newOutbound(t, serve(t, tc.users), tc.opts) })
		})
	}
}

func TestNew(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, tc := range []struct {
		name string
		opts Options
		key  string
	}{
		{"nothing", Options{}, ""},
		{"user without a password", Options{Login: outbound.Login{User: "alice"}}, ""},
		{"password without a user", Options{Login: outbound.Login{Password: option.Password{Password: "x"}}}, "password"},
		{"password in a file without a user", Options{Login: outbound.Login{Password: option.Password{PasswordFile: "x"}}}, "password_file"},
		{"two passwords", Options{Login: outbound.Login{User: "alice", Password: option.Password{Password: "x", PasswordEnv: "X"}}}, "password"},
		{"long user", Options{Login: outbound.Login{User: long}}, "user"},
		{"line end in a user", Options{Login: outbound.Login{User: "a\nb"}}, "user"},
		{"long password", Options{Login: outbound.Login{User: "alice", Password: option.Password{Password: option.Text(long)}}}, "password"},
		{"isolation of a user", Options{Login: outbound.Login{User: "alice"}, Isolate: Isolation{"user"}}, "isolate"},
		{"isolation by nothing known", Options{Isolate: Isolation{"phase of the moon"}}, "isolate"},
		{"UDP over a transport", Options{Mode: "udp", Options: transported("t")}, "mode"},
		{"unknown transport", Options{Options: transported("none")}, "none"},
	} {
		env := coretest.Env(t)
		env.Graph = coretest.Graph{core.Ref[core.Transport]("t"): plain{}}
		tc.opts.AssociateTimeout = option.Duration(time.Second)
		out, err := New(env, tc.opts)
		if (err == nil) != (tc.key == "") || (out == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v", tc.name, out, err)
		}
		if bad, ok := errors.AsType[*core.OptionError](err); tc.key != "" && tc.key != "none" && (!ok || bad.Key != tc.key) {
			t.Errorf("%s: got %v, want the key %q", tc.name, err, tc.key)
		}
	}
}

// plain is a transport that changes nothing.
type plain struct{}

func (plain) Client(_ context.Context, wire core.Stream, _ core.Addr) (core.Stream, error) {
	return wire, nil
}
func (plain) Server(_ context.Context, wire core.Stream) (core.Stream, error) { return wire, nil }

// script is a server that has said all its messages already, and hears the client's.
type script struct {
	says  io.Reader
	heard bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.says.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.heard.Write(p) }

const success = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"

// TestDialogue has the client's messages and the server's, byte by byte.
func TestDialogue(t *testing.T) {
	alice := &login{"alice", "pw"}
	const greetNone, greetBoth, greetLogin = "\x05\x01\x00", "\x05\x02\x00\x02", "\x05\x01\x02"
	const loginAlice, request = "\x01\x05alice\x02pw", "\x05\x01\x00\x03\x0bexample.com\x01\xbb"
	both := []byte{0, 2}
	for _, tc := range []struct {
		name  string
		c     client
		says  string
		sends string // up to the error
		err   string
		is    error
	}{
		{"no login", client{methods: both[:1]}, "\x05\x00" + success, greetNone + request, "", nil},
		{"a login is asked for", client{methods: both, login: alice}, "\x05\x02\x01\x00" + success, greetBoth + loginAlice + request, "", nil},
		{"a login is not asked for", client{methods: both, login: alice}, "\x05\x00" + success, greetBoth + request, "", nil},
		{"pipelined", client{methods: both[:1], pipelining: true}, "\x05\x00" + success, greetNone + request, "", nil},
		{"pipelined login", client{methods: both[1:], login: alice, pipelining: true}, "\x05\x02\x01\x00" + success, greetLogin + loginAlice + request, "", nil},
		{"bound to IPv6", client{methods: both[:1]}, "\x05\x00\x05\x00\x00\x04" + strings.Repeat("\x00", 18), greetNone + request, "", nil},
		{"bound to a name", client{methods: both[:1]}, "\x05\x00\x05\x00\x00\x03\x03a.b\x00\x00", greetNone + request, "", nil},
		{"bound to an empty name", client{methods: both[:1]}, "\x05\x00\x05\x00\x00\x03\x00\x00\x00", greetNone + request, "", nil},

		{"nothing", client{methods: both[:1]}, "", greetNone, "greeting: EOF", io.EOF},
		{"half a method", client{methods: both[:1]}, "\x05", greetNone, "greeting: EOF", io.EOF},
		{"HTTP", client{methods: both[:1]}, "HTTP/1.1 400 Bad Request\r\n", greetNone, "greeting: malformed: the first byte is 0x48 (HTTP), not 5", core.ErrMalformed},
		{"SOCKS4", client{methods: both[:1]}, "\x00", greetNone, "greeting: malformed: the first byte is 0x00 (SOCKS4), not 5", core.ErrMalformed},
		{"no method", client{methods: both[:1]}, "\x05\xff", greetNone, "greeting: authentication failed: the server wants a user and a password", core.ErrAuth},
		{"no method for a login", client{methods: both, login: alice}, "\x05\xff", greetBoth, "greeting: authentication failed: the server takes no user and password", core.ErrAuth},
		{"a method that was not offered", client{methods: both[:1]}, "\x05\x02", greetNone, "greeting: malformed: the server chose method 2, which was not offered", core.ErrMalformed},
		{"no login where one must be", client{methods: both[1:], login: alice}, "\x05\x00", greetLogin, "greeting: malformed: the server chose method 0, which was not offered", core.ErrMalformed},
		{"wrong password", client{methods: both, login: alice}, "\x05\x02\x01\x01", greetBoth + loginAlice, `login: authentication failed: the server refuses the user "alice" or the password (status 1)`, core.ErrAuth},
		{"login of another version", client{methods: both, login: alice}, "\x05\x02\x05\x00", greetBoth + loginAlice, "login: malformed: version 5, not 1", core.ErrMalformed},
		{"end at the login", client{methods: both, login: alice}, "\x05\x02\x01", greetBoth + loginAlice, "login: unexpected EOF", io.ErrUnexpectedEOF},
		{"reply of another version", client{methods: both[:1]}, "\x05\x00\x04\x00", greetNone + request, "request: malformed: version 4 in the reply, not 5", core.ErrMalformed},
		{"address of another type", client{methods: both[:1]}, "\x05\x00\x05\x00\x00\x02\x00", greetNone + request, "request: address in the reply: malformed: unknown address type 0x02", core.ErrAddrType},
		{"reply cut", client{methods: both[:1]}, "\x05\x00" + success[:9], greetNone + request, "request: unexpected EOF", io.ErrUnexpectedEOF},
		{"a short refusal", client{methods: both[:1]}, "\x05\x00\x05\x05", greetNone + request, "request: reply 05: connection refused", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.c.cmd, tc.c.target = 1, coretest.Addr(t, "example.com:443")
			says := strings.NewReader(tc.says + "payload")
			if tc.err != "" {
				says = strings.NewReader(tc.says)
			}
			s := &script{says: says}
			s.heard.Write(tc.c.first())
			_, err := tc.c.talk(s)
			if got := s.heard.String(); got != tc.sends {
				t.Errorf("sent %q, want %q", got, tc.sends)
			}
			if tc.err == "" {
				if rest, _ := io.ReadAll(says); err != nil || string(rest) != "payload" {
					t.Errorf("got %v, and %q is left, want no error and the payload", err, rest)
				}
				return
			}
			if err == nil || err.Error() != tc.err || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("got %v, want %s", err, tc.err)
			}
		})
	}
}

// TestRefusals checks what a reply means to a policy, to a group and to the client of
// inbound.socks5.
func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		rep    byte
		cmd    byte
		reason string
		target bool
	}{
		{1, 1, "other", false}, {2, 1, "denied", true}, {3, 1, "unreachable", true}, {4, 1, "unreachable", true},
		{5, 1, "refused", true}, {6, 1, "timeout", true}, {7, 1, "other", false}, {8, 1, "other", true}, {9, 1, "other", false},
		{0xf0, 1, "unreachable", true}, {0xf7, 1, "unreachable", true}, {0xf8, 1, "other", false}, {255, 3, "other", false},
	} {
		err := refusal(tc.rep, tc.cmd)
		if got := core.ReasonOf(err); got != tc.reason || core.IsAtTarget(err) != tc.target || core.IsSent(err) {
			t.Errorf("%v: got reason %s, at the target %t, want %s, %t", err, got, core.IsAtTarget(err), tc.reason, tc.target)
		}
	}
	if err := refusal(7, 3); !errors.Is(err, core.ErrNoPackets) {
		t.Errorf("UDP ASSOCIATE: got %v, want core.ErrNoPackets", err)
	}
}

// Nothing of the client's is sent before the reply, and a failure of it is told as such.
func TestPayload(t *testing.T) {
	wire := coretest.NewDialer()
	d := over(t, newOutbound(t, "192.0.2.1:1080", Options{}), wire)
	r := &core.Request{Target: coretest.Addr(t, "example.com:443"), Payload: []byte("hello"), Flow: new(core.Flow)}
	type result struct {
		s   core.Stream
		err error
	}
	dialled := make(chan result, 1)
	ask := func() core.Stream {
		go func() {
			s, err := d.DialStream(t.Context(), r)
			dialled <- result{s, err}
		}()
		far := wire.Accept(t)
		coretest.Read(t, far, []byte("\x05\x01\x00"))
		coretest.Write(t, far, []byte("\x05\x00"))
		coretest.Read(t, far, []byte("\x05\x01\x00\x03\x0bexample.com\x01\xbb"))
		return far
	}
	far := ask()
	coretest.Write(t, far, []byte(success+"banner"))
	got := coretest.Await(t, "the stream", dialled)
	if got.err != nil {
		t.Fatal(got.err)
	}
	coretest.Read(t, far, []byte("hello"))
	coretest.Read(t, got.s, []byte("banner"))
	got.s.Close()
	if asked := wire.Requests()[0]; asked.Target.String() != "192.0.2.1:1080" || string(asked.Payload) != "\x05\x01\x00" {
		t.Errorf("the wire was asked for %v with %q first, want the server and the greeting", asked.Target, asked.Payload)
	}

	far = ask()
	coretest.Write(t, far, []byte("\x05\x05"))
	if got = coretest.Await(t, "a refusal", dialled); core.ReasonOf(got.err) != "refused" || !core.IsAtTarget(got.err) || core.IsSent(got.err) {
		t.Errorf("got %v, want a target that refuses", got.err)
	}
	if b, err := io.ReadAll(far); len(b) > 0 || err != nil {
		t.Errorf("after a refusal the server got %q, %v, want nothing", b, err)
	}

	far = ask()
	coretest.Write(t, far, []byte(success))
	far.Close() // the pipe refuses what is written next
	if got = coretest.Await(t, "a failed payload", dialled); got.err != nil && !core.IsSent(got.err) {
		t.Errorf("got %v, want no error or one marked as sent", got.err)
	}
	if got.s != nil {
		got.s.Close()
	}
}

// What the wire says of its target is about the server.
func TestDialError(t *testing.T) {
	refused := errors.New("refused")
	wire := &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) {
		return nil, core.Sent(core.AtTarget(refused))
	}}
	d := over(t, newOutbound(t, "192.0.2.1:1080", Options{}), wire)
	_, err := d.DialStream(t.Context(), &core.Request{Target: coretest.Target, Flow: new(core.Flow)})
	if !errors.Is(err, refused) || core.IsAtTarget(err) || core.IsSent(err) {
		t.Errorf("got %v, at the target %t, sent %t, want neither", err, core.IsAtTarget(err), core.IsSent(err))
	}
	if want := "socks5 server 192.0.2.1:1080: refused"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestServersThatFail(t *testing.T) {
	for _, tc := range []struct {
		name   string
		serve  func(c *net.TCPConn)
		reason string
	}{
		{"says nothing and ends", func(c *net.TCPConn) { c.CloseWrite() }, "short"},
		{"ends after the greeting", func(c *net.TCPConn) { c.Write([]byte{5, 0}); c.CloseWrite() }, "short"},
		{"resets after the greeting", func(c *net.TCPConn) { io.ReadFull(c, make([]byte, 3)); c.SetLinger(0); c.Close() }, "reset"},
		{"answers garbage", func(c *net.TCPConn) { c.Write([]byte("SSH-2.0-OpenSSH_9.9\r\n")) }, "malformed"},
	} {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			c, err := l.AcceptTCP()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			tc.serve(c)
			_, _ = io.Copy(io.Discard, c)
		})
		d := over(t, newOutbound(t, l.Addr().String(), Options{}), dial.Net{})
		_, err = d.DialStream(t.Context(), &core.Request{Target: coretest.Target, Flow: new(core.Flow)})
		if got := core.ReasonOf(err); got != tc.reason || core.IsAtTarget(err) {
			t.Errorf("%s: got %v (%s), want %s, and not of the target", tc.name, err, got, tc.reason)
		}
		serving.Wait()
		l.Close()
	}
}

func TestIsolation(t *testing.T) {
	alice, bob := "alice@192.0.2.1 a.test:443", "bob@192.0.2.1 a.test:443"
	for _, tc := range []struct {
		by   Isolation
		same []string // as alice at 192.0.2.1 for a.test
		not  []string
	}{
		{Isolation{"user"}, []string{"alice@192.0.2.2 b.test:443"}, []string{bob, "@192.0.2.1 a.test:443"}},
		{Isolation{"client"}, []string{bob, "@192.0.2.1 b.test:1"}, []string{"alice@192.0.2.2 a.test:443"}},
		{Isolation{"target"}, []string{"bob@192.0.2.2 a.test:80"}, []string{"alice@192.0.2.1 b.test:443"}},
		{Isolation{"user", "target"}, []string{"alice@192.0.2.2 a.test:80"}, []string{bob, "alice@192.0.2.1 b.test:443"}},
	} {
		i := newOutbound(t, "127.0.0.1:9050", Options{Isolate: tc.by}).isolation
		of := func(text string) login {
			user, rest, _ := strings.Cut(text, "@")
			client, target, _ := strings.Cut(rest, " ")
			r := &core.Request{User: user, Target: coretest.Addr(t, target)}
			r.Client.Addr = coretest.Addr(t, client+":1").AddrPort()
			return *i.login(r, 1)
		}
		want := of(alice)
		for _, text := range tc.same {
			if of(text) != want {
				t.Errorf("%v: %s has another login than %s", tc.by, text, alice)
			}
		}
		for _, text := range tc.not {
			if of(text) == want {
				t.Errorf("%v: %s has the login of %s", tc.by, text, alice)
			}
		}
		for _, secret := range []string{"alice", "192.0.2.1", "a.test"} {
			if strings.Contains(want.name+want.password, secret) || len(want.name) != 32 {
				t.Errorf("%v: got the login %v, want a digest", tc.by, want)
			}
		}
	}
}

func transported(name core.Ref[core.Transport]) outbound.Options {
	return outbound.Options{Transport: []core.Ref[core.Transport]{name}}
}
