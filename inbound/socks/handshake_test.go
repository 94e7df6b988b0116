package socks

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

const (
	hello      = "\x05\x01\x00"
	helloLogin = "\x05\x01\x02"
	ok         = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	toIPv4     = "\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50"
	toName     = "\x05\x01\x00\x03\x0bexample.com\x01\xbb"
	loginBob   = "\x01\x03bob\x06secret"
)

// reply is an answer other than success.
func reply(rep byte) string { return string(appendReply(nil, rep)) }

func handshakerFor(t *testing.T, passwords map[string]option.Text) *handshaker {
	t.Helper()
	us, err := inbound.NewUsers(passwords)
	if err != nil {
		t.Fatal(err)
	}
	return &handshaker{users: us}
}

// outcome is all that can be seen of one connection.
type outcome struct {
	target, user string
	rest         string // payload, and what was left unread
	payload      string
	wrote        string
	err          error
}

// serve does with conn what inbound.New does.
func serve(t *testing.T, h inbound.Handshaker, conn *script) outcome {
	t.Helper()
	var asked coretest.Asked
	err := h.Handshake(t.Context(), conn, core.Client{}, &asked)
	r := asked.Request
	if err != nil {
		if r != nil {
			t.Errorf("got a request beside the error %v", err)
		}
		h.Fail(conn, time.Now().Add(time.Minute), err)
		return outcome{wrote: string(conn.wrote), err: err}
	}
	if asked.Pending == nil { // an association: what follows the request is of no use
		return outcome{target: "association", user: r.User, wrote: string(conn.wrote)}
	}
	o := outcome{target: r.Target.String(), user: r.User, payload: string(r.Payload)}
	o.rest = o.payload + string(conn.unread())
	if s, err := asked.Pending.Accept(); err != nil || s != core.Stream(conn) {
		t.Errorf("Accept: got %v, %v, want the connection itself", s, err)
	}
	o.wrote = string(conn.wrote)
	return o
}

func TestHandshake(t *testing.T) {
	users := map[string]option.Text{"bob": "secret", "alice": "x"}
	long := strings.Repeat("a", 255)
	for _, tc := range []struct {
		name  string
		users map[string]option.Text
		in    string
		want  outcome
	}{
		{"ipv4", nil, hello + toIPv4, outcome{target: "192.0.2.7:80", wrote: "\x05\x00" + ok}},
		{"ipv6", nil, hello + "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x35",
			outcome{target: "[2001:db8::1]:53", wrote: "\x05\x00" + ok}},
		{"mapped ipv4", nil, hello + "\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x07\x00\x50",
			outcome{target: "192.0.2.7:80", wrote: "\x05\x00" + ok}},
		{"name", nil, hello + toName, outcome{target: "example.com:443", wrote: "\x05\x00" + ok}},
		{"ip literal as a name", nil, hello + "\x05\x01\x00\x03\x09127.0.0.1\x00\x50", outcome{target: "127.0.0.1:80", wrote: "\x05\x00" + ok}},
		{"reserved byte", nil, hello + "\x05\x01\xff\x01\xc0\x00\x02\x07\x00\x50", outcome{target: "192.0.2.7:80", wrote: "\x05\x00" + ok}},
		{"payload behind", nil, hello + toIPv4 + "GET / HTTP/1.1\r\n", outcome{target: "192.0.2.7:80", rest: "GET / HTTP/1.1\r\n", wrote: "\x05\x00" + ok}},
		{"much payload", nil, hello + toIPv4 + strings.Repeat("0123456789", 200),
			outcome{target: "192.0.2.7:80", rest: strings.Repeat("0123456789", 200), wrote: "\x05\x00" + ok}},
		{"255 methods", nil, "\x05\xff" + strings.Repeat("\x80", 254) + "\x00" + toName, outcome{target: "example.com:443", wrote: "\x05\x00" + ok}},

		{"no methods", nil, "\x05\x00", outcome{wrote: "\x05\xff", err: core.ErrMalformed}},
		{"unknown methods", nil, "\x05\x02\x01\x80" + toIPv4, outcome{wrote: "\x05\xff", err: core.ErrDenied}},
		{"login without users", nil, helloLogin + loginBob + toName, outcome{target: "example.com:443", wrote: "\x05\x02\x01\x00" + ok}},
		{"login without users, not needed", nil, "\x05\x02\x02\x00" + toName, outcome{target: "example.com:443", wrote: "\x05\x00" + ok}},
		{"malformed login without users", nil, helloLogin + "\x01\x00", outcome{wrote: "\x05\x02\x01\x01", err: core.ErrMalformed}},
		{"IPv6 address in brackets", nil, hello + "\x05\x01\x00\x03\x05[::1]\x00\x50", outcome{target: "[::1]:80", wrote: "\x05\x00" + ok}},
		{"IPv4 address in brackets", nil, hello + "\x05\x01\x00\x03\x0b[192.0.2.1]\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"name in brackets", nil, hello + "\x05\x01\x00\x03\x03[a]\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"name in UTF-8", nil, hello + "\x05\x01\x00\x03\x0dm\xc3\xbcnchen.test\x00\x50" + "hi", outcome{target: "xn--mnchen-3ya.test:80", rest: "hi", wrote: "\x05\x00" + ok}},
		{"upper case in UTF-8", nil, hello + "\x05\x01\x00\x03\x0dM\xc3\x9cNCHEN.test\x00\x50", outcome{target: "xn--mnchen-3ya.test:80", wrote: "\x05\x00" + ok}},
		{"name in Latin-1", nil, hello + "\x05\x01\x00\x03\x0cm\xfcnchen.test\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"version 4", nil, "\x04\x01\x00\x50\xc0\x00\x02\x07\x00", outcome{err: core.ErrMalformed}},
		{"version 0", nil, "\x00", outcome{err: core.ErrMalformed}},
		{"http", nil, "CONNECT example.com:443 HTTP/1.1\r\n\r\n", outcome{err: core.ErrMalformed}},
		{"tls", nil, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", outcome{err: core.ErrMalformed}},

		{"bind", nil, hello + "\x05\x02\x00\x01\xc0\x00\x02\x07\x00\x50", outcome{wrote: "\x05\x00" + reply(7), err: core.ErrDenied}},
		{"command 0", nil, hello + "\x05\x00\x00\x01\xc0\x00\x02\x07\x00\x50", outcome{wrote: "\x05\x00" + reply(7), err: core.ErrDenied}},
		{"command 255", nil, hello + "\x05\xff\x00\x01\xc0\x00\x02\x07\x00\x50", outcome{wrote: "\x05\x00" + reply(7), err: core.ErrDenied}},
		{"address type 0", nil, hello + "\x05\x01\x00\x00", outcome{wrote: "\x05\x00" + reply(8), err: core.ErrAddrType}},
		{"address type 2", nil, hello + "\x05\x01\x00\x02", outcome{wrote: "\x05\x00" + reply(8), err: core.ErrAddrType}},
		{"address type with a flag", nil, hello + "\x05\x01\x00\x11\xc0\x00\x02\x07\x00\x50", outcome{wrote: "\x05\x00" + reply(8), err: core.ErrAddrType}},
		{"request of version 4", nil, hello + "\x04\x01\x00\x01\xc0\x00\x02\x07\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"port 0", nil, hello + "\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x00", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"empty name", nil, hello + "\x05\x01\x00\x03\x00\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"NUL in a name", nil, hello + "\x05\x01\x00\x03\x03a\x00b\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"line break in a name", nil, hello + "\x05\x01\x00\x03\x04a\r\nb\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"space in a name", nil, hello + "\x05\x01\x00\x03\x03a b\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"255 dots", nil, hello + "\x05\x01\x00\x03\xff" + strings.Repeat(".", 255) + "\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},
		{"255 letters", nil, hello + "\x05\x01\x00\x03\xff" + long + "\x00\x50", outcome{wrote: "\x05\x00" + reply(1), err: core.ErrMalformed}},

		{"login", users, helloLogin + loginBob + toName, outcome{target: "example.com:443", user: "bob", wrote: "\x05\x02\x01\x00" + ok}},
		{"login of another", users, "\x05\x02\x00\x02\x01\x05alice\x01x" + toName, outcome{target: "example.com:443", user: "alice", wrote: "\x05\x02\x01\x00" + ok}},
		{"login, request and payload", users, helloLogin + loginBob + toIPv4 + "hi", outcome{target: "192.0.2.7:80", user: "bob", rest: "hi", wrote: "\x05\x02\x01\x00" + ok}},
		{"longest messages", map[string]option.Text{long: option.Text(long)},
			"\x05\xff" + strings.Repeat("\x02", 255) + "\x01\xff" + long + "\xff" + long + "\x05\x01\x00\x03\xfd" + longName() + "\x00\x50" + "hi",
			outcome{target: longName() + ":80", user: long, rest: "hi", wrote: "\x05\x02\x01\x00" + ok}},
		{"no login offered", users, hello + toName, outcome{wrote: "\x05\xff", err: core.ErrDenied}},
		{"wrong password, then a request", users, helloLogin + "\x01\x03bob\x06Secret" + toName, outcome{wrote: "\x05\x02\x01\x01", err: core.ErrAuth}},
		{"another's password", users, helloLogin + "\x01\x03bob\x01x", outcome{wrote: "\x05\x02\x01\x01", err: core.ErrAuth}},
		{"empty password", users, helloLogin + "\x01\x03bob\x00", outcome{wrote: "\x05\x02\x01\x01", err: core.ErrAuth}},
		{"unknown user", users, helloLogin + "\x01\x03eve\x06secret", outcome{wrote: "\x05\x02\x01\x01", err: core.ErrAuth}},
		{"empty user", users, helloLogin + "\x01\x00\x06secret", outcome{wrote: "\x05\x02\x01\x01", err: core.ErrMalformed}},
		{"login of version 5", users, helloLogin + "\x05\x03bob\x06secret", outcome{wrote: "\x05\x02\x01\x01", err: core.ErrMalformed}},
		{"request without the login", users, helloLogin + toName, outcome{wrote: "\x05\x02\x01\x01", err: core.ErrMalformed}},
		{"bind after the login", users, helloLogin + loginBob + "\x05\x02\x00\x01\xc0\x00\x02\x07\x00\x50", outcome{wrote: "\x05\x02\x01\x00" + reply(7), err: core.ErrDenied}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := handshakerFor(t, tc.users)
			at := serve(t, h, &script{reads: whole([]byte(tc.in))})
			check(t, "at once", at, tc.want)
			one := serve(t, h, &script{reads: bytewise([]byte(tc.in))})
			check(t, "byte by byte", one, tc.want)
			if one.payload != "" {
				t.Errorf("byte by byte: got payload %q, want no byte read ahead", one.payload)
			}
			if at.err != nil && at.err.Error() != one.err.Error() {
				t.Errorf("got %q at once but %q byte by byte", at.err, one.err)
			}
		})
	}
}

// longName returns a name of core.MaxName bytes.
func longName() string {
	label := strings.Repeat("a", 63)
	return strings.Join([]string{label, label, label, label[:61]}, ".")
}

func check(t *testing.T, how string, got, want outcome) {
	t.Helper()
	if !errors.Is(got.err, want.err) {
		t.Errorf("%s: got error %v, want %v", how, got.err, want.err)
	}
	got.err, want.err, got.payload = nil, nil, ""
	if got != want {
		t.Errorf("%s: got %+v, want %+v", how, got, want)
	}
}

// A client may end after any byte of its handshake, in any way.
func TestHandshakeEndsEarly(t *testing.T) {
	h := handshakerFor(t, map[string]option.Text{"bob": "secret"})
	full := helloLogin + loginBob + toName
	for _, end := range []error{io.EOF, syscall.ECONNRESET, os.ErrDeadlineExceeded} {
		for n := range len(full) {
			conn := &script{reads: whole([]byte(full[:n])), end: end}
			got := serve(t, h, conn)
			if !errors.Is(got.err, core.ErrShort) || !errors.Is(got.err, end) {
				t.Errorf("%d bytes, then %v: got %v, want ErrShort and the cause", n, end, got.err)
			}
			if conn.halfShut {
				t.Errorf("%d bytes, then %v: lingered for a client that is owed nothing", n, end)
			}
		}
	}
}

func TestHandshakeDeadConnection(t *testing.T) {
	h := handshakerFor(t, nil)
	got := serve(t, h, &script{reads: whole([]byte(hello)), fail: syscall.EPIPE})
	if !errors.Is(got.err, core.ErrShort) || !errors.Is(got.err, syscall.EPIPE) {
		t.Errorf("write fails: got %v, want ErrShort and EPIPE", got.err)
	}
	got = serve(t, h, &script{end: net.ErrClosed})
	if !errors.Is(got.err, net.ErrClosed) || errors.Is(got.err, core.ErrShort) {
		t.Errorf("closed by us: got %v, want net.ErrClosed alone", got.err)
	}
}

// What a holder of a password does wrong counts for the user, not the address.
func TestHandshakeMarksAuthenticated(t *testing.T) {
	users := map[string]option.Text{"bob": "secret"}
	for _, tc := range []struct {
		name  string
		users map[string]option.Text
		in    string
		want  bool
	}{
		{"bad request after the login", users, helloLogin + loginBob + "\x05\x01\x00\x09", true},
		{"ended after the login", users, helloLogin + loginBob, true},
		{"wrong password", users, helloLogin + "\x01\x03bob\x01x", false},
		{"no users", nil, hello + "\x05\x01\x00\x09", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := serve(t, handshakerFor(t, tc.users), &script{reads: whole([]byte(tc.in))})
			if core.IsAuthenticated(got.err) != tc.want {
				t.Errorf("%v: got authenticated %t, want %t", got.err, !tc.want, tc.want)
			}
		})
	}
}

func TestHandshakeErrorTexts(t *testing.T) {
	users := map[string]option.Text{"bob": "secret"}
	for _, tc := range []struct {
		name  string
		users map[string]option.Text
		in    string
		want  string
	}{
		{"nothing", nil, "", "greeting of 0 bytes so far: too few bytes: EOF"},
		{"http", nil, "GET / HTTP/1.1", "greeting: malformed: first byte 0x47 (HTTP), not 5"},
		{"tls", nil, "\x16\x03\x01", "greeting: malformed: first byte 0x16 (TLS), not 5"},
		{"socks4", nil, "\x04", "greeting: malformed: first byte 0x04 (SOCKS4), not 5"},
		{"no method", nil, "\x05\x01\x01", "greeting: neither method 0 nor 2 is offered: denied"},
		{"wrong password", users, helloLogin + "\x01\x05b\nb\x00b\x06Secret", `login as "b\nb\x00b": authentication failed`},
		{"bind", nil, hello + "\x05\x02\x00\x01\xc0\x00\x02\x07\x00\x50", "request: BIND is not served: denied"},
		{"a command of nobody", nil, hello + "\x05\xf2\x00\x03\x01a\x00\x50", "request: command 242 is not served: denied"},
		{"the name of a name", nil, hello + "\x05\xf1\x00\x03\x01a\x00\x00", "request: malformed: RESOLVE_PTR of the name a"},
		{"port 0", nil, hello + "\x05\x01\x00\x03\x01a\x00\x00", "request: malformed: port 0 in target a:0"},
		{"bad name", nil, hello + "\x05\x01\x00\x03\x03a\nb\x00\x50", `request: malformed: host name "a\nb" has the character '\n'`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := serve(t, handshakerFor(t, tc.users), &script{reads: whole([]byte(tc.in))})
			if got.err == nil || got.err.Error() != tc.want {
				t.Errorf("got %v, want %s", got.err, tc.want)
			}
		})
	}
}

// The payload must not be a window into what later reads fill.
func TestPayloadIsExact(t *testing.T) {
	payload := []byte("the first bytes")
	conn := &script{reads: [][]byte{[]byte(hello), append([]byte(toIPv4), payload...), []byte("later")}}
	var asked coretest.Asked
	if err := handshakerFor(t, nil).Handshake(t.Context(), conn, core.Client{}, &asked); err != nil {
		t.Fatal(err)
	}
	r := asked.Request
	if !bytes.Equal(r.Payload, payload) || cap(r.Payload) != len(payload) {
		t.Errorf("got payload %q with capacity %d, want %q with %d", r.Payload, cap(r.Payload), payload, len(payload))
	}
	if got := conn.unread(); string(got) != "later" {
		t.Errorf("got %q unread, want %q", got, "later")
	}
}
