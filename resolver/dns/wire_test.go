package dns

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
)

// TestSilentConnection checks that a connection on which nothing comes is left: the
// next question has a new one.
func TestSilentConnection(t *testing.T) {
	var answers atomic.Bool
	s := newScripted(t, nil, func(q query, back func([]byte)) {
		if answers.Load() {
			back(said(t, q))
		}
	})
	o := options(t, "tcp://"+s.addr)
	o.Prefer, o.Timeout = "ipv4-only", option.Duration(200*time.Millisecond)
	r := start(t, o)
	if got, err := r.LookupIP(t.Context(), "b.test"); err == nil {
		t.Fatalf("got %v from a silent server", got)
	}
	answers.Store(true)
	if got, err := r.LookupIP(t.Context(), "a.test"); err != nil || !slices.Equal(got, addrs("192.0.2.7")) {
		t.Errorf("got %v, %v, want the address", got, err)
	}
	if _, _, conns := s.counts(); conns < 2 {
		t.Errorf("got %d connections, want a new one after the silence", conns)
	}
}

// TestAddresses checks that of a server's addresses the next one is asked where one is
// dead, and that the system finds a name that the file has no address for.
func TestAddresses(t *testing.T) {
	honest := func(q query, back func([]byte)) { back(said(t, q)) }
	s := newScripted(t, honest, honest)
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		server string
		fixed  []string
	}{
		{"dns.test:" + port, []string{"127.0.0.9", "127.0.0.1"}},
		{"tcp://dns.test:" + port, []string{"127.0.0.9", "127.0.0.1"}},
		{"localhost:" + port, nil},
		{"tcp://localhost:" + port, nil},
	} {
		o := options(t, tc.server)
		o.Prefer = "ipv4-only"
		if tc.fixed != nil {
			o.Bootstrap = bootstrap("DNS.test", tc.fixed...)
		}
		if got, err := start(t, o).LookupIP(t.Context(), "a.test"); err != nil || !slices.Equal(got, addrs("192.0.2.7")) {
			t.Errorf("%s: got %v, %v, want the address", tc.server, got, err)
		}
	}
}

// TestPanic checks that a panic while asking is a failure like others, in the log.
func TestPanic(t *testing.T) {
	for _, strategy := range []Strategy{"failover", "race"} {
		w := &fakeWire{answer: func(question) (reply, error) { panic("oops") }}
		bubble(t, func(o *Options) { o.Strategy = strategy }, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
			var log bytes.Buffer
			r.log = newLog(&log)
			if err := lacks(t, r, "a.test", 0); !strings.Contains(err.Err, "panic: oops") || !strings.Contains(log.String(), "lookup panicked") {
				t.Errorf("got %v and the log %s, want the panic in both", err, &log)
			}
			w.becomes(says(60, "192.0.2.7"), 0)
			finds(t, r, "b.test", "192.0.2.7", 0)
		})
	}
}
