package httpproxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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

func options(at netip.AddrPort) Options {
	return Options{HeadOptions: HeadOptions{MaxHead: 4096}, StreamOptions: inbound.StreamOptions{
		Listen: option.ListenList{option.ListenOn(at)}, MaxHandshakes: 64, ClientHandshakes: 64, HandshakeTimeout: option.Duration(time.Minute),
	}}
}

// buffered is a connection whose first bytes were read.
type buffered struct {
	*net.TCPConn
	r *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

func TestInbound(t *testing.T) {
	coretest.TestInbound(t, coretest.InboundKit{
		New: func(t testing.TB, env core.Env, at netip.AddrPort) core.Inbound {
			in, err := New(env, options(at))
			if err != nil {
				t.Fatal(err)
			}
			return in
		},
		Request: func(t testing.TB, conn *net.TCPConn, target core.Addr) func() (core.Stream, error) {
			if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", target); err != nil {
				t.Fatal(err)
			}
			return func() (core.Stream, error) {
				r := bufio.NewReader(conn)
				a, err := http.ReadResponse(r, &http.Request{Method: "CONNECT"})
				if err == nil && a.StatusCode != 200 {
					err = errors.New(a.Status)
				}
				return buffered{conn, r}, err
			}
		},
	})
}

// TestRequests reads requests, and compares what goes to the origin server.
func TestRequests(t *testing.T) {
	for _, tc := range []struct {
		name, in, target, forward string
		status                    int
	}{
		{"get", "GET http://a.test/x?y HTTP/1.1\r\nHost: b.test\r\nAccept: */*\r\nProxy-Connection: keep-alive\r\n\r\n", "a.test:80",
			"GET /x?y HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nAccept: */*\r\n\r\n", 0},
		{"port, no path", "GET HTTP://[2001:db8::1]:8080?q HTTP/1.0\r\n\r\n", "[2001:db8::1]:8080", "GET /?q HTTP/1.0\r\nHost: [2001:db8::1]:8080\r\nConnection: close\r\n\r\n", 0},
		{"hop by hop", "POST http://a.test/ HTTP/1.1\r\nConnection: X-One, close, Content-Length\r\nX-One: 1\r\nX-Two: 2\r\nTE: trailers\r\nKeep-Alive: 3\r\nProxy-Authorization: Basic eDp5\r\nContent-Length: 4\r\n\r\n", "a.test:80",
			"POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX-Two: 2\r\nContent-Length: 4\r\n\r\n", 0},
		{"upgrade", "GET http://a.test/ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "a.test:80", "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 0},
		{"options", "OPTIONS http://a.test HTTP/1.1\r\n\r\n", "a.test:80", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", 0},
		{"origin form", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "", "", 400},
		{"another scheme", "GET ftp://a.test/ HTTP/1.1\r\n\r\n", "", "", 501},
		{"a user", "GET http://u@a.test/ HTTP/1.1\r\n\r\n", "", "", 400},
		{"version", "GET http://a.test/ HTTP/2.0\r\n\r\n", "", "", 505},
		{"two framings", "POST http://a.test/ HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", "", "", 400},
		{"two lengths", "POST http://a.test/ HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", "", "", 400},
		{"signed length", "POST http://a.test/ HTTP/1.1\r\nContent-Length: +4\r\n\r\n", "", "", 400},
		{"another coding", "POST http://a.test/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "", "", 400},
		{"space before the colon", "POST http://a.test/ HTTP/1.1\r\nContent-Length : 4\r\n\r\n", "", "", 400},
		{"folded", "POST http://a.test/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "", "", 400},
		{"LF", "POST http://a.test/ HTTP/1.1\nA: b\r\n\r\n", "", "", 400},
		{"two hosts", "GET http://a.test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "", "", 400},
		{"port 0", "CONNECT a.test:0 HTTP/1.1\r\n\r\n", "", "", 400},
		{"too long", "GET http://a.test/ HTTP/1.1\r\nA: " + strings.Repeat("a", 5000) + "\r\n\r\n", "", "", 431},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := parse(tc.in)
			bad, refused := errors.AsType[*refusal](err)
			if refused != (tc.status != 0) || refused && (bad.status != tc.status || !errors.Is(err, core.ErrMalformed)) || !refused && err != nil {
				t.Fatalf("got %v, want status %d", err, tc.status)
			}
			if !refused && (r.target.String() != tc.target || string(r.forward()) != tc.forward) {
				t.Errorf("got %v and %q, want %s and %q", r.target, r.forward(), tc.target, tc.forward)
			}
		})
	}
}

// parse reads a request.
func parse(in string) (request, error) {
	w := &window{b: []byte(in)}
	h, err := w.head(4096)
	if err != nil {
		return request{}, err
	}
	return parseRequest(h)
}

// FuzzHead compares a head that is passed on with what net/http takes it for.
func FuzzHead(f *testing.F) {
	for _, in := range []string{
		"GET http://a.test/x HTTP/1.1\r\nHost: a.test\r\nConnection: X\r\nX: 1\r\n\r\n",
		"POST http://a.test:81 HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
		"POST http://a.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"CONNECT a.test:443 HTTP/1.1\r\n\r\n",
	} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if !strings.Contains(in, "\r\n\r\n") {
			return
		}
		r, err := parse(in)
		if err != nil || r.connect {
			return
		}
		q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.forward())))
		if err != nil {
			return // stricter
		}
		if q.Host != r.host {
			t.Errorf("host: got %q, want %q", q.Host, r.host)
		}
		switch r.body.framing {
		case byLength:
			if q.ContentLength != r.body.left {
				t.Errorf("length: got %d, want %d", q.ContentLength, r.body.left)
			}
		case byChunks:
			if len(q.TransferEncoding) != 1 {
				t.Errorf("coding: got %q", q.TransferEncoding)
			}
		default:
			if q.ContentLength != 0 {
				t.Errorf("body: got %d bytes, want none", q.ContentLength)
			}
		}
	})
}

// TestChunks finds the end of chunked bodies, in one piece and byte by byte.
func TestChunks(t *testing.T) {
	for _, tc := range []struct {
		in, rest string
		bad      bool
	}{
		{"5\r\nhello\r\n0\r\n\r\nnext", "next", false},
		{"A;x=\"y\"\r\n0123456789\r\n00\r\nT: 1\r\n\r\n", "", false},
		{"5\nhello\r\n0\r\n\r\n", "", true},
		{"5\r\nhelloX\r\n0\r\n\r\n", "", true},
		{"\r\n", "", true},
		{"0x5\r\nhello\r\n", "", true},
		{"-1\r\n", "", true},
		{"fffffffffffffffff\r\n", "", true},
		{"5 \r\nhello\r\n0\r\n\r\n", "", true},
		{"0\r\n\rX", "", true},
	} {
		for _, size := range []int{1, 1000} {
			b, in := body{framing: byChunks}, []byte(tc.in)
			var err error
			for len(in) > 0 && !b.done() && err == nil {
				var n int
				p := in[:min(size, len(in))]
				n, err = b.take(p)
				in = in[n:]
			}
			if (err != nil) != tc.bad || err == nil && (!b.done() || string(in) != tc.rest) {
				t.Errorf("%q by %d: got %v, done %t, rest %q", tc.in, size, err, b.done(), in)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	for err, want := range map[error]int{core.ErrDenied: 403, core.ErrShutdown: 503, io.ErrUnexpectedEOF: 502, &net.DNSError{IsNotFound: true}: 502, fmt.Errorf("x: %w", context.DeadlineExceeded): 504} {
		if got := statusOf(err); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
}
