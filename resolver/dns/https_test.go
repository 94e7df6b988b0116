package dns

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// doh is a DNS over HTTPS server that a test scripts.
type doh struct {
	*httptest.Server
	ca    string
	conns atomic.Int32 // that were opened
}

// newDoH starts one. Its handler gets the query that was posted.
func newDoH(t testing.TB, handle func(w http.ResponseWriter, r *http.Request, q query)) *doh {
	t.Helper()
	d := &doh{}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		q, ok := received(body)
		if err != nil || !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != mediaType || r.Header.Get("Accept") != mediaType ||
			r.Header.Get("User-Agent") != "" || r.ProtoMajor != 2 || len(body)%paddedTo != 0 || body[0] != 0 || body[1] != 0 {
			t.Errorf("got %s %s %v with %x", r.Method, r.Proto, r.Header, body)
		}
		handle(w, r, q)
	}))
	d.EnableHTTP2 = true
	d.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			d.conns.Add(1)
		}
	}
	d.StartTLS()
	t.Cleanup(d.Close)
	d.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(d.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// post answers with a message.
func post(w http.ResponseWriter, msg []byte) {
	w.Header().Set("Content-Type", mediaType)
	_, _ = w.Write(msg)
}

// TestHTTPS has servers answer as they should and as they should not.
func TestHTTPS(t *testing.T) {
	for _, tc := range []struct {
		name   string
		handle func(t *testing.T, w http.ResponseWriter, r *http.Request, q query)
		ttl    time.Duration // at the most, of an answer
		text   string        // of an error
	}{
		{"an answer", func(t *testing.T, w http.ResponseWriter, _ *http.Request, q query) { post(w, said(t, q)) }, time.Minute, ""},
		{"an aged answer", func(t *testing.T, w http.ResponseWriter, _ *http.Request, q query) {
			w.Header().Set("Age", "50")
			post(w, said(t, q))
		}, 10 * time.Second, ""},
		{"an answer with parameters", func(t *testing.T, w http.ResponseWriter, _ *http.Request, q query) {
			w.Header().Set("Content-Type", mediaType+"; charset=none")
			_, _ = w.Write(said(t, q))
		}, time.Minute, ""},
		{"an error", func(_ *testing.T, w http.ResponseWriter, _ *http.Request, _ query) {
			http.Error(w, "no", http.StatusForbidden)
		}, 0, "HTTP status 403"},
		{"a redirect", func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ query) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, 0, "HTTP status 307"},
		{"a page", func(_ *testing.T, w http.ResponseWriter, _ *http.Request, _ query) {
			_, _ = io.WriteString(w, "<html>")
		}, 0, `content type "text/html`},
		{"another ID", func(t *testing.T, w http.ResponseWriter, _ *http.Request, q query) {
			msg := said(t, q)
			msg[0] = 1
			post(w, msg)
		}, 0, errStrange.Error()},
		{"another name", func(t *testing.T, w http.ResponseWriter, _ *http.Request, q query) {
			msg := said(t, q)
			msg[headerSize+1]++
			post(w, msg)
		}, 0, errStrange.Error()},
		{"nothing", func(_ *testing.T, w http.ResponseWriter, _ *http.Request, _ query) { post(w, nil) }, 0, errStrange.Error()},
		{"too much", func(t *testing.T, w http.ResponseWriter, _ *http.Request, q query) {
			post(w, append(said(t, q), make([]byte, maxMessage)...))
		}, 0, "over 65,535 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDoH(t, func(w http.ResponseWriter, r *http.Request, q query) { tc.handle(t, w, r, q) })
			o := options(t, d.URL+"/dns-query")
			o.CA, o.Prefer = d.ca, "ipv4-only"
			got, err := start(t, o).Tell(t.Context(), "a.test")
			if tc.text == "" && (err != nil || len(got) != 1 || got[0].TTL > tc.ttl || got[0].TTL < tc.ttl-8*time.Second) {
				t.Errorf("got %+v, %v, want a TTL of %v", got, err, tc.ttl)
			}
			if tc.text != "" && (err == nil || !strings.Contains(err.Error(), tc.text)) {
				t.Errorf("got %+v, %v, want an error with %q", got, err, tc.text)
			}
		})
	}
}

// TestHTTPSReuse checks that many questions share one connection.
func TestHTTPSReuse(t *testing.T) {
	d := newDoH(t, func(w http.ResponseWriter, _ *http.Request, q query) { post(w, said(t, q)) })
	o := options(t, d.URL+"/dns-query")
	o.CA, o.Prefer = d.ca, "ipv4-only"
	r := start(t, o)
	if _, err := r.LookupIP(t.Context(), "a.test"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() { _, _ = r.LookupIP(t.Context(), "n"+strconv.Itoa(i)+".test") })
	}
	all.Wait()
	if n := d.conns.Load(); n != 1 {
		t.Errorf("got %d connections, want 1", n)
	}
}

// TestTLSVersion checks that TLS 1.1 is refused.
func TestTLSVersion(t *testing.T) {
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.StartTLS()
	defer old.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: old.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"tls://" + old.Listener.Addr().String(), old.URL + "/dns-query"} {
		o := options(t, server)
		o.CA = ca
		if got, err := start(t, o).LookupIP(t.Context(), "a.test"); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("%s: got %v, %v, want a refusal of the version", server, got, err)
		}
	}
}
