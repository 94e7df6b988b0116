package http

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDialer returns the Dialer over wire of an outbound whose proxy is at server.
func newDialer(t testing.TB, server string, o Options, wire core.Dialer) core.Dialer {
	t.Helper()
	d, err := newOutbound(t, server, o).Over(wire)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newOutbound(t testing.TB, server string, o Options) core.Outbound {
	t.Helper()
	if err := o.Server.UnmarshalText([]byte(server)); err != nil {
		t.Fatal(err)
	}
	out, err := New(coretest.Env(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// proxy runs an HTTP proxy by net/http until the test ends, and returns its address.
func proxy(t testing.TB) string {
	var relays sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, err := net.Dial("tcp", r.Host)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, "not reached", http.StatusBadGateway)
			return
		}
		client, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		relays.Add(1)
		defer relays.Done()
		defer target.Close()
		defer client.Close()
		_, _ = client.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		var both sync.WaitGroup
		both.Go(func() {
			_, _ = io.Copy(target, buffered)
			target.(*net.TCPConn).CloseWrite()
		})
		both.Go(func() {
			_, _ = io.Copy(client, target)
			client.(*net.TCPConn).CloseWrite()
		})
		both.Wait()
	}))
	t.Cleanup(func() { s.Close(); relays.Wait() })
	return s.Listener.Addr().String()
}

func TestConformance(t *testing.T) {
	coretest.TestOutbound(t, func(t testing.TB) core.Outbound { return newOutbound(t, proxy(t), Options{}) })
}

func TestNew(t *testing.T) {
	header := func(name, value string) Options {
		return Options{Headers: map[string]option.Text{name: option.Text(value)}}
	}
	login := outbound.Login{User: "alice", Password: option.Password{Password: "pw"}}
	taken := header("Proxy-Authorization", "Bearer x")
	taken.Login = login
	for _, tc := range []struct {
		name string
		opts Options
		key  string
	}{
		{"nothing", Options{}, ""},
		{"login", Options{Login: login}, ""},
		{"header", header("User-Agent", "curl/8.0"), ""},
		{"header in place of a login", header("Proxy-Authorization", "Bearer x"), ""},
		{"colon in a user", Options{Login: outbound.Login{User: "a:b"}}, "user"},
		{"line end in a user", Options{Login: outbound.Login{User: "a\r\nb"}}, "user"},
		{"password without a user", Options{Login: outbound.Login{Password: option.Password{Password: "pw"}}}, "password"},
		{"header beside a login", taken, "headers.Proxy-Authorization"},
		{"Host", header("hOST", "x"), "headers.hOST"},
		{"a body", header("Content-Length", "5"), "headers.Content-Length"},
		{"a name that is none", header("User Agent", "x"), `headers."User Agent"`},
		{"line end in a value", header("X-A", "x\r\nHost: y"), "headers.X-A"},
	} {
		_, err := New(coretest.Env(t), tc.opts)
		bad, ok := errors.AsType[*core.OptionError](err)
		if ok != (tc.key != "") || ok && bad.Key != tc.key {
			t.Errorf("%s: got %v, want the key %q", tc.name, err, tc.key)
		}
		if err != nil && strings.Contains(err.Error(), "Bearer") {
			t.Errorf("%s: the error shows the value: %v", tc.name, err)
		}
	}
}

// ask has a dial ask a proxy that says what the test writes.
func ask(t *testing.T, o Options, r *core.Request) (far core.Stream, result func() (core.Stream, error)) {
	t.Helper()
	wire := coretest.NewDialer()
	d := newDialer(t, "192.0.2.1:3128", o, wire)
	type dialled struct {
		s   core.Stream
		err error
	}
	done := make(chan dialled, 1)
	go func() {
		s, err := d.DialStream(t.Context(), r)
		done <- dialled{s, err}
	}()
	return wire.Accept(t), func() (core.Stream, error) {
		got := coretest.Await(t, "the end of the dial", done)
		return got.s, got.err
	}
}

// TestRequest checks the bytes of the request, and of what follows the reply.
func TestRequest(t *testing.T) {
	o := Options{
		Login:   outbound.Login{User: "alice", Password: option.Password{Password: "open:sesame"}},
		Headers: map[string]option.Text{"X-B": "2", "User-Agent": "curl/8.0"},
	}
	for target, want := range map[string]string{
		"example.com:443":   "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Authorization: Basic YWxpY2U6b3BlbjpzZXNhbWU=\r\nUser-Agent: curl/8.0\r\nX-B: 2\r\n\r\n",
		"[2001:db8::1]:443": "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\nProxy-Authorization: Basic YWxpY2U6b3BlbjpzZXNhbWU=\r\nUser-Agent: curl/8.0\r\nX-B: 2\r\n\r\n",
	} {
		far, result := ask(t, o, &core.Request{Target: coretest.Addr(t, target), Payload: []byte("hello"), Flow: new(core.Flow)})
		coretest.Read(t, far, []byte(want))
		coretest.Write(t, far, []byte("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\nbanner"))
		s, err := result()
		if err != nil {
			t.Fatal(err)
		}
		coretest.Read(t, far, []byte("hello"))
		coretest.Read(t, s, []byte("banner"))
		coretest.Write(t, far, []byte("more"))
		coretest.Read(t, s, []byte("more"))
		s.Close()
	}
}

// A stream behind a reply without further bytes is the wire itself, so that the kernel
// splices.
func TestBareStream(t *testing.T) {
	near, far := coretest.LoopbackPair(t)
	wire := &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) { return near, nil }}
	d := newDialer(t, "192.0.2.1:3128", Options{}, wire)
	coretest.Write(t, far, []byte("HTTP/1.1 200 OK\r\n\r\n"))
	s, err := d.DialStream(t.Context(), &core.Request{Target: coretest.Target, Flow: new(core.Flow)})
	if err != nil || netio.Bare(s) != near {
		t.Errorf("got %v, %v, want the connection", s, err)
	}
}

// TestStatus checks what a status means to a policy, to a group and to the client.
func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		reply  string
		reason string
		target bool
		text   string
	}{
		{"HTTP/1.1 403 Filtered\r\n\r\n", "denied", true, `status 403 "Filtered"`},
		{"HTTP/1.1 502 Bad Gateway\r\n\r\n", "unreachable", true, "status 502"},
		{"HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n<html>", "unreachable", true, "status 503"},
		{"HTTP/1.1 504 Gateway Timeout\r\n\r\n", "timeout", true, "status 504"},
		{"HTTP/1.0 500 Unable to connect\r\n\r\n", "unreachable", true, "status 500"},
		{"HTTP/1.1 500 Internal Server Error\r\n\r\n", "other", false, "status 500"},
		{"HTTP/1.1 405 Not Allowed\r\n\r\n", "other", false, "status 405"},
		{"HTTP/1.1 302\r\nLocation: http://login/\r\n\r\n", "other", false, "status 302"},
		{"HTTP/1.1 400 \x1b[31mred\r\n\r\n", "other", false, `status 400 "\x1b[31mred"`},
		{"HTTP/1.1 407 X\r\nproxy-authenticate: basic realm=\"a\"\r\n\r\n", "auth", false, "the proxy wants a user and a password"},
		{"HTTP/1.1 407 X\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n\r\n", "auth", false, `asks for a login by "NTLM, Negotiate", and Basic alone`},

		{"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", "auth", false, "status 401: the proxy wants a user"},

		{"SSH-2.0-OpenSSH_9.9\r\n", "malformed", false, `begins with "SSH-2.0-OpenSSH_"`},
		{"\x05", "malformed", false, "(SOCKS5)"},
		{"\x15\x03\x01\x00\x02\x02\x0a", "malformed", false, "(TLS)"},
		{"HTTP/2 200\r\n\r\n", "malformed", false, "HTTP/2"},
		{"HTTP/1.1 2000 OK\r\n\r\n", "malformed", false, "status line"},
		{"HTTP/1.1 2x0 OK\r\n\r\n", "malformed", false, "status line"},
		{"HTTP/1.1\r\n\r\n", "malformed", false, "status line"},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", "malformed", false, "status line"},
		{"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxHead), "malformed", false, "over 16384 bytes"},
		{strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxHead/25+1), "malformed", false, "over 16384 bytes"},
		{"HTTP/1.1 200 OK\r\n", "short", false, "the server closed the connection"},
		{"", "short", false, "the server closed the connection"},
	} {
		far, result := ask(t, Options{}, &core.Request{Target: coretest.Addr(t, "example.com:443"), Payload: []byte("secret"), Flow: new(core.Flow)})
		coretest.Write(t, far, []byte(tc.reply))
		coretest.CloseWrite(t, far)
		s, err := result()
		if s != nil || core.ReasonOf(err) != tc.reason || core.IsAtTarget(err) != tc.target || core.IsSent(err) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%.40q: got %v (%s, at the target %t), want %s, %t, %q", tc.reply, err, core.ReasonOf(err), core.IsAtTarget(err), tc.reason, tc.target, tc.text)
		}
		if b, _ := io.ReadAll(far); bytes.Contains(b, []byte("secret")) {
			t.Errorf("%.40q: the payload was sent without a success", tc.reply)
		}
	}
}

// A wrong password is told apart from a missing one.
func TestWrongPassword(t *testing.T) {
	o := Options{Login: outbound.Login{User: "alice"}}
	far, result := ask(t, o, &core.Request{Target: coretest.Target, Flow: new(core.Flow)})
	coretest.Write(t, far, []byte("HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n"))
	if _, err := result(); !errors.Is(err, core.ErrAuth) || !strings.Contains(err.Error(), "refuses the user or the password") {
		t.Errorf("got %v, want ErrAuth", err)
	}
}

// What the wire says of its target is about the proxy.
func TestDialError(t *testing.T) {
	refused := errors.New("refused")
	wire := &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) {
		return nil, core.Sent(core.AtTarget(refused))
	}}
	d := newDialer(t, "192.0.2.1:3128", Options{}, wire)
	_, err := d.DialStream(t.Context(), &core.Request{Target: coretest.Target, Flow: new(core.Flow)})
	if !errors.Is(err, refused) || core.IsAtTarget(err) || core.IsSent(err) {
		t.Errorf("got %v, at the target %t, sent %t, want neither", err, core.IsAtTarget(err), core.IsSent(err))
	}
}

func TestNoPackets(t *testing.T) {
	d := newDialer(t, "192.0.2.1:3128", Options{}, dial.Net{})
	if _, err := d.OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)}); !errors.Is(err, core.ErrNoPackets) {
		t.Errorf("got %v, want core.ErrNoPackets", err)
	}
}

// FuzzReadHead has a proxy say anything, in pieces of any size. The size does not matter,
// and what follows the head is beyond.
func FuzzReadHead(f *testing.F) {
	for _, reply := range []string{
		"HTTP/1.1 200 OK\r\n\r\nbanner", "HTTP/1.0 200\n\nbanner", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n\n\r\n", "HTTP/1.1 2", "\x05", "",
	} {
		f.Add([]byte(reply), uint8(1))
		f.Add([]byte(reply), uint8(7))
	}
	f.Fuzz(func(t *testing.T, reply []byte, piece uint8) {
		whole, beyond, err := readHead(bytes.NewReader(reply))
		rest := bytes.NewReader(reply)
		pieces, first, pieceErr := readHead(&dripping{rest, int(piece)%64 + 1})
		if (err == nil) != (pieceErr == nil) || whole.status != pieces.status || whole.reason != pieces.reason {
			t.Fatalf("got %+v, %v, and in pieces %+v, %v", whole, err, pieces, pieceErr)
		}
		if err != nil {
			return
		}
		left, _ := io.ReadAll(rest)
		behind, _ := io.ReadAll(bytes.NewReader(reply))
		if got := append(bytes.Clone(first), left...); !bytes.HasSuffix(behind, got) || !bytes.HasPrefix(got, beyond[:min(len(beyond), len(got))]) {
			t.Errorf("beyond the head is %q, and in pieces %q", beyond, got)
		}
		if whole.status < 200 || whole.status > 999 {
			t.Errorf("got the status %d", whole.status)
		}
	})
}

// dripping returns at most so many bytes a read.
type dripping struct {
	r    io.Reader
	most int
}

func (d *dripping) Read(p []byte) (int, error) { return d.r.Read(p[:min(len(p), d.most)]) }
