package otel

import (
	"encoding/pem"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	collecttraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestTLS speaks TLS to a collector whose certificate is signed by that of ca_file, and tells
// of one whose certificate is not.
func TestTLS(t *testing.T) {
	web := httptest.NewTLSServer(new(collector)) // for its certificate
	certificate := web.TLS.Certificates[0]
	web.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := map[string]func(*collector) string{
		"http": func(c *collector) string {
			s := httptest.NewTLSServer(c)
			t.Cleanup(s.Close)
			return s.Listener.Addr().String()
		},
		"grpc": func(c *collector) string {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
			collecttraces.RegisterTraceServiceServer(s, c)
			var running sync.WaitGroup
			running.Go(func() { _ = s.Serve(ln) })
			t.Cleanup(func() { s.Stop(); running.Wait() })
			return ln.Addr().String()
		},
	}
	for protocol, serve := range serve {
		for _, trusted := range []bool{true, false} {
			var log coretest.Lines
			env := coretest.Env(t)
			env.Log = slog.New(slog.NewTextHandler(&log, nil))
			c := new(collector)
			o := options(t, protocol, serve(c))
			o.Insecure, o.Metrics = false, false
			if trusted {
				o.CAFile = ca
			}
			made, stop := start(t, env, o)
			made.Observe(end(t, nil))
			if !trusted {
				coretest.Eventually(t, "a line about the certificate", func() bool { return len(log.With("traces are not exported", "certificate")) == 1 })
			}
			stop()
			if n := len(c.whole()); trusted && n != 1 || !trusted && n != 0 {
				t.Errorf("%s, trusted %t: got %d traces; %q", protocol, trusted, n, log.With(""))
			}
		}
	}
}
