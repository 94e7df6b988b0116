package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestAccept has the example of RFC 6455 §1.3.
func TestAccept(t *testing.T) {
	if got := acceptOf("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %s", got)
	}
}

func TestRequest(t *testing.T) {
	o := defaults()
	o.Path = "/chat?room=1"
	o.Headers = map[string]option.Text{"User-Agent": "Mozilla/5.0", "Accept-Language": "en"}
	for _, tc := range []struct{ server, host, want string }{
		{"ws.example:8080", "", "ws.example:8080"}, {"ws.example:443", "", "ws.example"}, {"192.0.2.1:80", "", "192.0.2.1"},
		{"[2001:db8::1]:80", "", "[2001:db8::1]"}, {"[2001:db8::1]:81", "", "[2001:db8::1]:81"}, {"192.0.2.1:81", "cdn.example", "cdn.example"},
	} {
		o.Host = tc.host
		got := newPlain(t, o).requestFor(coretest.Addr(t, tc.server), "KEY", "")
		want := "GET /chat?room=1 HTTP/1.1\r\nHost: " + tc.want + "\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n" +
			"Accept-Language: en\r\nUser-Agent: Mozilla/5.0\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: KEY\r\n\r\n"
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// opening is a request for a path, with the key of RFC 6455, without the lines that are named.
func opening(path string, without ...string) string {
	text := "GET " + path + " HTTP/1.1\r\n"
	for _, line := range []string{"Host: ws.example", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="} {
		name, _, _ := strings.Cut(line, ":")
		if !strings.Contains(strings.Join(without, " "), name) {
			text += line + "\r\n"
		}
	}
	return text + "\r\n"
}

// TestServer sends requests to a server that serves /ws: what it answers, whether it goes on
// then, and what it tells its log.
func TestServer(t *testing.T) {
	const host = "Host: ws.example\r\n"
	for _, tc := range []struct {
		name, request string
		status        int
		goesOn        bool
		err           string
	}{
		{"for the path", opening("/ws"), 101, true, ""},
		{"with a query", opening("/ws?x=1"), 101, true, ""},
		{"escaped", opening("/%77s"), 101, true, ""},
		{"empty lines before it", "\r\n\n" + opening("/ws"), 101, true, ""},
		{"another path", opening("/"), 404, true, `GET "/" is not served`},
		{"longer path", opening("/ws/"), 404, true, `GET "/ws/" is not served`},
		{"no upgrade", "GET /ws HTTP/1.1\r\n" + host + "\r\n", 404, true, "no upgrade to websocket; a proxy"},
		{"no Upgrade", opening("/ws", "Upgrade: "), 404, true, ""},
		{"no Connection", opening("/ws", "Connection"), 404, true, "no upgrade"},
		{"no key", opening("/ws", "Sec-WebSocket-Key"), 404, true, "Sec-WebSocket-Key"},
		{"short key", strings.Replace(opening("/ws"), "dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 1), 404, true, "Sec-WebSocket-Key"},
		{"other version", strings.Replace(opening("/ws"), "Version: 13", "Version: 8", 1), 404, true, "version"},
		{"POST", "POST /ws HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nHello", 404, true, `POST "/ws"`},
		{"chunked POST", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n", 404, true, ""},
		{"large POST", "POST / HTTP/1.1\r\n" + host + "Content-Length: 5000000\r\n\r\n", 413, false, ""},
		{"HEAD", "HEAD / HTTP/1.1\r\n" + host + "\r\n", 404, true, ""},
		{"TRACE", "TRACE / HTTP/1.1\r\n" + host + "\r\n", 405, false, ""},
		{"close", "GET / HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", 404, false, ""},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 404, false, ""},
		{"HTTP/1.0 for the path", strings.Replace(opening("/ws"), "1.1", "1.0", 1), 404, true, "HTTP/1.0"},
		{"HTTP/1.0 that goes on", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 404, true, ""},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, false, "HTTP/2.0"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, false, "no Host"},
		{"long header", "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 20_000) + "\r\n\r\n", 400, false, "max_header"},
		{"long path", "GET /" + strings.Repeat("x", 20_000) + " HTTP/1.1\r\n" + host + "\r\n", 400, false, "max_header"},
		{"no version", "GET /\r\n\r\n", 400, false, "begins with"},
		{"lower case", "get / HTTP/1.1\r\n\r\n", 400, false, "begins with"},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01", 400, false, "begins with"},
		{"SOCKS5", "\x05\x01\x00", 400, false, "begins with"},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\n", 400, false, "begins with"},
		{"a random byte", "\x9c", 400, false, "begins with"},
		{"space in a name", "GET / HTTP/1.1\r\n" + host + "a b: c\r\n\r\n", 404, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := defaults()
				o.Path = "/ws"
				prober, wire := coretest.Pipe()
				defer prober.Close()
				defer wire.Close()
				_ = wire.SetDeadline(time.Now().Add(time.Minute))
				var s core.Stream
				var err error
				done := make(chan struct{})
				go func() { defer close(done); s, err = newPlain(t, o).Server(t.Context(), wire) }()
				coretest.Write(t, prober, []byte(tc.request))
				_ = prober.SetReadDeadline(time.Now().Add(time.Second))
				r := bufio.NewReader(prober)
				answer, rerr := http.ReadResponse(r, &http.Request{Method: strings.SplitN(tc.request, " ", 2)[0]})
				if rerr != nil || answer.StatusCode != tc.status {
					t.Fatalf("got %v, %v, want %d", answer, rerr, tc.status)
				}
				if tc.status == 101 {
					<-done
					if err != nil || answer.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
						t.Errorf("got %v, %v", err, answer.Header)
					}
					coretest.Write(t, prober, frame(server, true, opBinary, "Hello"))
					coretest.Read(t, s, []byte("Hello"))
					return
				}
				page, rerr := io.ReadAll(answer.Body)
				if rerr != nil || (len(page) == 0) != (tc.name == "HEAD") {
					t.Errorf("got %q, %v, want a page", page, rerr)
				}
				_, over := r.Peek(1)
				if goesOn := errors.Is(over, os.ErrDeadlineExceeded); goesOn != tc.goesOn || answer.Close == tc.goesOn {
					t.Errorf("got %v after the answer, Connection: close %t, want it to go on: %t", over, answer.Close, tc.goesOn)
				}
				if tc.goesOn { // up to the deadline
					_ = prober.SetReadDeadline(time.Time{})
					coretest.Write(t, prober, []byte("HEAD /again HTTP/1.1\r\n"+host+"\r\n"))
					if again, err := http.ReadResponse(r, &http.Request{Method: "HEAD"}); err != nil || again.StatusCode != 404 {
						t.Errorf("again: got %v, %v", again, err)
					}
					tc.err = `HEAD "/again" is not served; then:`
					if <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("got %v, want the deadline", err)
					}
				}
				prober.Close()
				if <-done; !errors.Is(err, core.ErrMalformed) || !strings.HasPrefix(err.Error(), "websocket handshake: malformed") || !strings.Contains(squeeze(err), squeeze(errors.New(tc.err))) {
					t.Errorf("got %v, want %q", err, tc.err)
				}
			})
		})
	}
}

// squeeze returns the text of an error without the word that core has for it.
func squeeze(err error) string { return strings.ReplaceAll(err.Error(), "malformed: ", "") }

// What comes in the packet of the request belongs to the stream.
func TestServerPipelined(t *testing.T) {
	prober, wire := coretest.TCPPair(t)
	coretest.Write(t, prober, append([]byte(opening("/")), frame(server, true, opBinary, "Hello")...))
	s, err := newPlain(t, defaults()).Server(t.Context(), wire)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.(core.Waiter).WaitRead(); err != nil {
		t.Fatal(err)
	}
	coretest.Read(t, s, []byte("Hello"))
	s.Close()
}

// A client that ends before its request is whole is not answered, as web servers do not.
func TestServerShort(t *testing.T) {
	for request, want := range map[string]error{"": io.EOF, "G": core.ErrShort, "GET / HTTP/1.1\r\nHost": core.ErrShort, "GET / HTTP/1.1\r\nHost: x\r\n": core.ErrShort} {
		prober, wire := coretest.Pipe()
		coretest.Write(t, prober, []byte(request))
		_ = prober.CloseWrite()
		if _, err := newPlain(t, defaults()).Server(t.Context(), wire); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", request, err, want)
		}
		_ = wire.CloseWrite()
		coretest.ReadAll(t, prober, nil)
		prober.Close()
		wire.Close()
	}
}

// TestClient gives a client answers of all kinds.
func TestClient(t *testing.T) {
	const good = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"
	for _, tc := range []struct {
		name, answer, err string
		is                error
	}{
		{"good", good, "", nil},
		{"after another answer", "HTTP/1.1 100 Continue\r\n\r\n" + good, "", nil},
		{"not found", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "the server answered 404 Not Found; is the path right", nil},
		{"bad gateway", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "502 Bad Gateway; a proxy may not reach", nil},
		{"moved", "HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n", "301", nil},
		{"page", "HTTP/1.1 200 OK\r\n\r\nhello", "the server answered 200 OK", nil},
		{"other accept", strings.Replace(good, "ACCEPT", "AAAA", 1), "Sec-WebSocket-Accept", core.ErrMalformed},
		{"no accept", strings.Replace(good, "Sec-WebSocket-Accept: ACCEPT\r\n", "", 1), "Sec-WebSocket-Accept", core.ErrMalformed},
		{"other protocol", strings.Replace(good, "WebSocket\r\n", "h2c\r\n", 1), "another protocol", core.ErrMalformed},
		{"extension", strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1), "not offered", core.ErrMalformed},
		{"subprotocol", strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n", 1), "not offered", core.ErrMalformed},
		{"nothing", "", "closed the connection", core.ErrShort},
		{"half", good[:40], "closed the connection", core.ErrShort},
		{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "not HTTP", core.ErrMalformed},
		{"long", "HTTP/1.1 101 x\r\nX: " + strings.Repeat("x", 20_000), "max_header", core.ErrMalformed},
		{"informational for ever", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10), "more than 5 answers", core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wire, peer := coretest.Pipe()
			defer wire.Close()
			defer peer.Close()
			coretest.Together(func() {
				request, err := http.ReadRequest(bufio.NewReader(peer))
				if err != nil {
					t.Error(err)
					return
				}
				answer := strings.Replace(tc.answer, "ACCEPT", acceptOf(request.Header.Get("Sec-WebSocket-Key")), 1)
				coretest.Write(t, peer, append([]byte(answer), frame(client, true, opBinary, "Hello")...)[:len(answer)+min(len(answer), 7)])
				_ = peer.CloseWrite()
			}, func() {
				s, err := newPlain(t, defaults()).Client(t.Context(), wire, coretest.Addr(t, serverAddr))
				if tc.err == "" {
					if err != nil {
						t.Errorf("got %v", err)
						return
					}
					coretest.Read(t, s, []byte("Hello"))
					return
				}
				if tc.answer == "" || tc.name == "half" {
					tc.err = "" // what was appended is read as a part of the answer
				}
				if err == nil || !strings.Contains(err.Error(), tc.err) || tc.is != nil && tc.err != "" && !errors.Is(err, tc.is) {
					t.Errorf("got %v, want %q, %v", err, tc.err, tc.is)
				}
			})
		})
	}
}

// A peer that says nothing holds a handshake until the deadline or the end of the context,
// and the wire is the caller's then.
func TestSilence(t *testing.T) {
	for name, shakes := range map[string]func(ctx context.Context, wire core.Stream) (core.Stream, error){
		"server": func(ctx context.Context, wire core.Stream) (core.Stream, error) {
			return newPlain(t, defaults()).Server(ctx, wire)
		},
		"client": func(ctx context.Context, wire core.Stream) (core.Stream, error) {
			return newPlain(t, defaults()).Client(ctx, wire, coretest.Addr(t, serverAddr))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wire, peer := coretest.Pipe()
				defer wire.Close()
				defer peer.Close()
				began := time.Now()
				_ = wire.SetDeadline(began.Add(time.Minute))
				if _, err := shakes(t.Context(), wire); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
					t.Errorf("got %v after %s, want a timeout after 1m", err, time.Since(began))
				}
				_ = wire.SetDeadline(time.Time{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := shakes(ctx, wire); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want the end of the context", err)
				}
				if err := wire.SetDeadline(time.Time{}); err != nil {
					t.Errorf("the wire was closed: %v", err)
				}
			})
		})
	}
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(o *Options)
		key  string
	}{
		{"defaults", func(*Options) {}, ""},
		{"path with a query", func(o *Options) { o.Path = "/a%20b?c=d" }, ""},
		{"all", func(o *Options) {
			o.Host, o.Headers = "cdn.example:8443", map[string]option.Text{"Origin": "https://cdn.example"}
		}, ""},
		{"address", func(o *Options) { o.Host = "[2001:db8::1]:80" }, ""},
		{"no slash", func(o *Options) { o.Path = "ws" }, "path"},
		{"space", func(o *Options) { o.Path = "/a b" }, "path"},
		{"line end", func(o *Options) { o.Path = "/a\r\nX: y" }, "path"},
		{"fragment", func(o *Options) { o.Path = "/a#b" }, "path"},
		{"bad escape", func(o *Options) { o.Path = "/%zz" }, "path"},
		{"early data of others", func(o *Options) { o.Path = "/ws?ed=2048" }, "path"},
		{"host with a line end", func(o *Options) { o.Host = "a\r\nb" }, "host"},
		{"host with a path", func(o *Options) { o.Host = "a/b" }, "host"},
		{"host header", func(o *Options) { o.Headers = map[string]option.Text{"host": "x"} }, "headers.host"},
		{"own header", func(o *Options) { o.Headers = map[string]option.Text{"Sec-WebSocket-Key": "x"} }, "headers.Sec-WebSocket-Key"},
		{"header name", func(o *Options) { o.Headers = map[string]option.Text{"a b": "x"} }, `headers."a b"`},
		{"header value", func(o *Options) { o.Headers = map[string]option.Text{"a": "x\r\ny"} }, "headers.a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := defaults()
			tc.edit(&o)
			_, err := New(core.Env{}, o)
			oe, ok := errors.AsType[*core.OptionError](err)
			if tc.key == "" && err != nil || tc.key != "" && (!ok || oe.Key != tc.key) {
				t.Errorf("got %v, want an error of key %q", err, tc.key)
			}
		})
	}
}

// FuzzServer gives a server any bytes: it answers in HTTP alone, or opens a stream.
func FuzzServer(f *testing.F) {
	for _, s := range []string{"", opening("/"), opening("/x"), "GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + opening("/"), "\x16\x03\x01"} {
		f.Add([]byte(s))
	}
	tr := newPlain(f, defaults())
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &recorded{pieces: pieces{rest: b, size: 100}}
		s, err := tr.Server(context.Background(), w)
		said := w.said.Bytes()
		if len(said) > 0 && !bytes.HasPrefix(said, []byte("HTTP/1.1 ")) || (err == nil) != bytes.Contains(said, []byte("HTTP/1.1 101 ")) {
			t.Errorf("got %v and %q", err, said)
		}
		if err == nil {
			_, _ = readAll(s.(*stream), 100)
		}
	})
}

// FuzzClient gives a client any answer: without its key there is none that it takes.
func FuzzClient(f *testing.F) {
	for _, s := range []string{"", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 100 x\r\n\r\n"} {
		f.Add([]byte(s))
	}
	tr := newPlain(f, defaults())
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &recorded{pieces: pieces{rest: b, size: 100}}
		if _, err := tr.Client(context.Background(), w, coretest.Addr(t, serverAddr)); err == nil {
			t.Error("an answer of chance was taken")
		}
	})
}

// recorded is a wire in pieces that keeps what is written.
type recorded struct {
	pieces
	said bytes.Buffer
}

func (r *recorded) Write(p []byte) (int, error)      { return r.said.Write(p) }
func (r *recorded) CloseWrite() error                { return nil }
func (r *recorded) Close() error                     { return nil }
func (r *recorded) SetDeadline(time.Time) error      { return nil }
func (r *recorded) SetReadDeadline(time.Time) error  { return nil }
func (r *recorded) SetWriteDeadline(time.Time) error { return nil }
