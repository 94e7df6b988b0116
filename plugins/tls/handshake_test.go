package tls

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

func TestHandshake(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	id, byAddress := ca.issue(t, "example.test"), ca.issue(t, "192.0.2.1")
	self, client, foreign := selfSigned(t, "example.test"), ca.issue(t, "client"), stranger.issue(t, "client")
	expired := ca.issue(t, "example.test")
	old := template(t, "example.test")
	old.NotBefore, old.NotAfter = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0)
	ca.issueTo(t, &expired, old)

	serve := func(id identity) Options { return Options{Cert: id.file, Key: id.key} }
	guarded := Options{Cert: id.file, Key: id.key, ClientCA: ca.file}
	auth, alert := core.ErrAuth.Error(), "remote error: tls: "
	for _, tc := range []struct {
		name           string
		server, client Options
		dialled        string
		serverErr      string // part of the text, "" for none
		clientErr      string
	}{
		{"good CA", serve(id), Options{CA: ca.file}, "example.test", "", ""},
		{"server_name instead of what is dialled", serve(id), Options{CA: ca.file, ServerName: "example.test"}, "198.51.100.7", "", ""},
		{"address", serve(byAddress), Options{CA: ca.file}, "192.0.2.1", "", ""},
		{"wrong address", serve(byAddress), Options{CA: ca.file}, "192.0.2.2", alert + "bad certificate", auth + ": x509: "},
		{"wrong name", serve(id), Options{CA: ca.file}, "example.org", alert + "bad certificate", "not example.org"},
		{"unknown CA", serve(id), Options{CA: stranger.file}, "example.test", alert + "bad certificate", auth + ": x509: certificate signed by unknown authority"},
		{"system roots", serve(id), Options{}, "example.test", alert + "bad certificate", auth + ": x509: "},
		{"expired", serve(expired), Options{CA: ca.file}, "example.test", alert + "bad certificate", "has expired"},

		{"pin", serve(self), Options{Pin: []Pin{PinOf(id.cert), PinOf(self.cert)}}, "203.0.113.1", "", ""},
		{"pin of an expired certificate", serve(expired), Options{Pin: []Pin{PinOf(expired.cert)}}, "example.test", "", ""},
		{"wrong pin", serve(self), Options{Pin: []Pin{PinOf(id.cert)}}, "example.test", alert + "bad certificate", auth + ": the server's key is not pinned: " + PinOf(self.cert).String()},
		{"pin of the CA", serve(id), Options{Pin: []Pin{PinOf(ca.cert)}}, "example.test", alert + "bad certificate", "not pinned"},
		{"pin and ca", serve(id), Options{CA: ca.file, Pin: []Pin{PinOf(id.cert)}}, "example.test", "", ""},
		{"pin but unknown CA", serve(id), Options{CA: stranger.file, Pin: []Pin{PinOf(id.cert)}}, "example.test", alert + "bad certificate", "unknown authority"},
		{"pin and ca but wrong name", serve(id), Options{CA: ca.file, Pin: []Pin{PinOf(id.cert)}}, "example.org", alert + "bad certificate", "not example.org"},
		{"ca but wrong pin", serve(id), Options{CA: ca.file, Pin: []Pin{PinOf(self.cert)}}, "example.test", alert + "bad certificate", "not pinned"},

		{"client certificate", guarded, Options{CA: ca.file, Cert: client.file, Key: client.key}, "example.test", "", ""},
		{"client certificate without client_ca", serve(id), Options{CA: ca.file, Cert: client.file, Key: client.key}, "example.test", "", ""},
		{"no client certificate", guarded, Options{CA: ca.file}, "example.test", "client didn't provide a certificate", ""},
		{"foreign client certificate", guarded, Options{CA: ca.file, Cert: foreign.file, Key: foreign.key}, "example.test", auth + ": x509: certificate signed by unknown authority", ""},

		{"ALPN", Options{Cert: id.file, Key: id.key, ALPN: []string{"h2", "x"}}, Options{CA: ca.file, ALPN: []string{"x"}}, "example.test", "", ""},
		{"ALPN mismatch", Options{Cert: id.file, Key: id.key, ALPN: []string{"h2"}}, Options{CA: ca.file, ALPN: []string{"x"}}, "example.test", "unsupported application protocols", alert + "no application protocol"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := shake(t, newPlain(t, tc.server), newPlain(t, tc.client), tc.dialled)
			checkHandshake(t, "server", e.serverErr, tc.serverErr)
			checkHandshake(t, "client", e.clientErr, tc.clientErr)
			if err := e.clientErr; err != nil && strings.Contains(tc.clientErr, auth) && !errors.Is(err, core.ErrAuth) {
				t.Errorf("client: got %v, want ErrAuth", err)
			}
			if e.serverErr == nil && e.clientErr == nil {
				exchange(t, e.client, e.server)
			}
		})
	}
}

func checkHandshake(t *testing.T, role string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Fatalf("%s: got %v, want no error", role, err)
	case want == "":
	case err == nil || !strings.HasPrefix(err.Error(), "tls handshake: ") || !strings.Contains(err.Error(), want):
		t.Errorf("%s: got %v, want %q", role, err, "tls handshake: … "+want)
	case strings.HasPrefix(err.Error(), "tls handshake: tls:"):
		t.Errorf("%s: got a doubled prefix in %q", role, err)
	}
}

// exchange sends a few bytes both ways.
func exchange(t *testing.T, a, b io.ReadWriter) {
	t.Helper()
	for _, dir := range []struct{ from, to io.ReadWriter }{{a, b}, {b, a}} {
		if _, err := io.WriteString(dir.from, "hello"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(dir.to, got); err != nil || string(got) != "hello" {
			t.Fatalf("got %q, %v, want hello", got, err)
		}
	}
}

// A client whose certificate is refused learns it at its first read, because in
// TLS 1.3 its own handshake ends before the server has seen the certificate.
func TestClientLearnsOfRefusalWhenReading(t *testing.T) {
	ca := newAuthority(t)
	id := ca.issue(t, "example.test")
	e := shake(t, newPlain(t, Options{Cert: id.file, Key: id.key, ClientCA: ca.file}), newPlain(t, Options{CA: ca.file}), "example.test")
	if e.clientErr != nil || e.serverErr == nil {
		t.Fatalf("got client %v, server %v, want nil and an error", e.clientErr, e.serverErr)
	}
	_, err := e.client.Read(make([]byte, 1))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("got %v, want ErrUnexpectedEOF with the alert", err)
	}
}

func TestMinVersion(t *testing.T) {
	ca := newAuthority(t)
	id := ca.issue(t, "example.test")
	var v12 Version = stdtls.VersionTLS12
	for _, tc := range []struct {
		name       string
		low        Version
		peer, want uint16 // the peer's newest, the outcome (0: refused)
	}{
		{"1.3 with 1.3", 0, stdtls.VersionTLS13, stdtls.VersionTLS13},
		{"1.3 with 1.2", 0, stdtls.VersionTLS12, 0},
		{"1.2 with 1.2", v12, stdtls.VersionTLS12, stdtls.VersionTLS12},
		{"1.2 with 1.3", v12, stdtls.VersionTLS13, stdtls.VersionTLS13},
		{"1.2 with 1.1", v12, stdtls.VersionTLS11, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			serverWire, clientWire := tcpPair(t)
			tr := newPlain(t, Options{Cert: id.file, Key: id.key, MinVersion: tc.low})
			done := make(chan error, 1)
			go func() {
				_, err := tr.Server(context.Background(), serverWire)
				done <- err
			}()
			peer := stdtls.Client(clientWire, &stdtls.Config{InsecureSkipVerify: true, MinVersion: stdtls.VersionTLS10, MaxVersion: tc.peer})
			err := peer.Handshake()
			if serr := <-done; (err == nil) != (tc.want != 0) || (serr == nil) != (tc.want != 0) {
				t.Fatalf("got server %v, client %v, want version %#x", serr, err, tc.want)
			}
			if got := peer.ConnectionState().Version; err == nil && got != tc.want {
				t.Errorf("got version %#x, want %#x", got, tc.want)
			}
		})
	}
}

// Sessions are resumed, and the pin is checked in a resumed one too.
func TestResumption(t *testing.T) {
	self := selfSigned(t, "example.test")
	server, client := newPlain(t, Options{Cert: self.file, Key: self.key}), newPlain(t, Options{Pin: []Pin{PinOf(self.cert)}})
	resumed := func() bool {
		e := shake(t, server, client, "example.test")
		if e.clientErr != nil || e.serverErr != nil {
			t.Fatalf("got client %v, server %v", e.clientErr, e.serverErr)
		}
		exchange(t, e.client, e.server) // the client reads its ticket
		return e.client.(*stream).conn.ConnectionState().DidResume
	}
	if resumed() {
		t.Error("first connection: got a resumed session")
	}
	if !resumed() {
		t.Error("second connection: got a full handshake, want a resumed session")
	}
	strict := newPlain(t, Options{Pin: []Pin{{}}})
	config := strict.material.Get().client
	config.ClientSessionCache = client.material.Get().client.ClientSessionCache
	if e := shake(t, server, strict, "example.test"); !errors.Is(e.clientErr, core.ErrAuth) {
		t.Errorf("resumed session of another key: got %v, want ErrAuth", e.clientErr)
	}
}

func TestServerAgainstNonsense(t *testing.T) {
	self := selfSigned(t, "example.test")
	server := newPlain(t, Options{Cert: self.file, Key: self.key})
	for _, tc := range []struct {
		name, sent string
		want       error
	}{
		{"nothing", "", core.ErrShort},
		{"one byte", "\x16", core.ErrShort},
		{"half a header", "\x16\x03\x01", core.ErrShort},
		{"half a record", "\x16\x03\x01\x02\x00\x01", core.ErrShort},
		{"HTTP", "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n", core.ErrMalformed},
		{"zeros", string(make([]byte, 512)), core.ErrMalformed},
		{"SSLv2", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", core.ErrMalformed},
		{"huge record", "\x16\x03\x01\xff\xff" + strings.Repeat("x", 300), core.ErrMalformed},
		{"bad hello", "\x16\x03\x01\x00\x08\x01\x00\x00\x04abcd", core.ErrMalformed},
		{"alert", "\x15\x03\x01\x00\x02\x02\x28", io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wire, peer := tcpPair(t)
			if _, err := io.WriteString(peer, tc.sent); err != nil {
				t.Fatal(err)
			}
			if err := peer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			s, err := server.Server(t.Context(), wire)
			if s != nil || err == nil || !strings.HasPrefix(err.Error(), "tls handshake: ") {
				t.Fatalf("got %v, %v, want no stream and an error", s, err)
			}
			if tc.want != io.EOF && !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if _, err := wire.Write([]byte("ours")); err != nil {
				t.Errorf("the wire after a failed handshake: got %v, want it open", err)
			}
		})
	}
}

// What bounds a handshake is the wire's deadline and ctx, at both ends.
func TestHandshakeIsBounded(t *testing.T) {
	self := selfSigned(t, "example.test")
	tr := newPlain(t, Options{Cert: self.file, Key: self.key})
	target, err := core.NewAddr("example.test", 443)
	if err != nil {
		t.Fatal(err)
	}
	roles := map[string]func(context.Context, core.Stream) (core.Stream, error){
		"server": tr.Server,
		"client": func(ctx context.Context, w core.Stream) (core.Stream, error) { return tr.Client(ctx, w, target) },
	}
	cut := errors.New("the listener closes")
	for role, shake := range roles {
		t.Run(role+"/deadline", func(t *testing.T) {
			wire, peer := tcpPair(t)
			if _, err := peer.Write([]byte{0x16, 3, 1}); err != nil { // and then nothing
				t.Fatal(err)
			}
			if err := wire.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := shake(t.Context(), wire); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a timeout", err)
			}
		})
		t.Run(role+"/cancelled", func(t *testing.T) {
			wire, _ := tcpPair(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(10*time.Millisecond, func() { cancel(cut) })
			if _, err := shake(ctx, wire); !errors.Is(err, cut) {
				t.Errorf("got %v, want %v", err, cut)
			}
			if err := wire.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := wire.Write([]byte("ours")); err != nil {
				t.Errorf("the wire after a cancelled handshake: got %v, want it open", err)
			}
		})
		t.Run(role+"/cancelled before", func(t *testing.T) {
			wire, _ := tcpPair(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := shake(ctx, wire); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
		})
	}
}

// The context of a handshake does not outlive it.
func TestContextEndsWithHandshake(t *testing.T) {
	self := selfSigned(t, "example.test")
	server, client := newPlain(t, Options{Cert: self.file, Key: self.key}), newPlain(t, Options{Pin: []Pin{PinOf(self.cert)}})
	serverWire, clientWire := tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	accepted := make(chan core.Stream, 1)
	go func() {
		s, _ := server.Server(ctx, serverWire)
		accepted <- s
	}()
	c, err := client.Client(ctx, clientWire, core.Addr{})
	s := <-accepted
	if err != nil || s == nil {
		t.Fatalf("got %v, %v", s, err)
	}
	cancel()
	exchange(t, c, s)
	if got := c.(interface{ NetConn() net.Conn }).NetConn(); got != net.Conn(clientWire) {
		t.Errorf("NetConn: got %v, want the wire", got)
	}
}
