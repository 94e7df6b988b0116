package dns

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// fakeWire is a server without a network, for bubbles of synctest.
type fakeWire struct {
	answer func(q question) (reply, error)
	takes  func(q question) time.Duration // nil for no time

	mu    sync.Mutex
	asked []question
}

var errDead = errors.New("dead")

func (w *fakeWire) exchange(ctx context.Context, q question) (reply, error) {
	w.mu.Lock()
	w.asked = append(w.asked, q)
	answer, takes := w.answer, w.takes
	w.mu.Unlock()
	if takes != nil {
		timer := time.NewTimer(takes(q))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return reply{}, ctx.Err()
		}
	}
	return answer(q)
}

func (*fakeWire) close() {}

// count returns how many questions have come.
func (w *fakeWire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// becomes changes the server.
func (w *fakeWire) becomes(answer func(q question) (reply, error), takes time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer, w.takes = answer, func(question) time.Duration { return takes }
}

// says answers each question with one address and a TTL in seconds.
func says(ttl uint32, ip string) func(question) (reply, error) {
	return func(q question) (reply, error) {
		kind := dns.TypeA
		if addrs(ip)[0].Is6() {
			kind = dns.TypeAAAA
		}
		if q.kind != kind {
			return reply{soa: &soa{"test", ttl, ttl}}, nil
		}
		return reply{records: []record{{name: q.name, kind: q.kind, ttl: ttl, ip: addrs(ip)[0]}}}, nil
	}
}

// denies answers that there is no such name, with a SOA of its TTLs.
func denies(ttl, minimum uint32) func(question) (reply, error) {
	return func(question) (reply, error) {
		return reply{rcode: dns.RcodeNameError, soa: &soa{"test", ttl, minimum}}, nil
	}
}

func fails(question) (reply, error) { return reply{}, errDead }

func breaks(question) (reply, error) { return reply{rcode: dns.RcodeServerFailure}, nil }

// bubble runs a test with a resolver that asks fakes, in order, and ends it.
func bubble(t *testing.T, change func(*Options), wires []*fakeWire, test func(t *testing.T, r *Resolver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		list := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}[:len(wires)]
		o := options(t, list...)
		o.Prefer = "ipv4-only"
		if change != nil {
			change(&o)
		}
		made, err := New(coretest.Env(t), o)
		if err != nil {
			t.Fatal(err)
		}
		r := made.(*Resolver)
		for i, w := range wires {
			r.upstreams[i].wire = w
		}
		test(t, r)
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// finds checks that a lookup has one address, after a time.
func finds(t *testing.T, r *Resolver, name, want string, took time.Duration) {
	t.Helper()
	began := time.Now()
	got, err := r.LookupIP(t.Context(), name)
	if err != nil || len(got) != 1 || got[0].String() != want || time.Since(began) != took {
		t.Errorf("%s: got %v, %v after %v, want %s after %v", name, got, err, time.Since(began), want, took)
	}
}

// lacks checks that a lookup fails, after a time, and returns the error.
func lacks(t *testing.T, r *Resolver, name string, took time.Duration) *net.DNSError {
	t.Helper()
	began := time.Now()
	got, err := r.LookupIP(t.Context(), name)
	d, ok := errors.AsType[*net.DNSError](err)
	if len(got) > 0 || !ok || time.Since(began) != took {
		t.Fatalf("%s: got %v, %v after %v, want a *net.DNSError after %v", name, got, err, time.Since(began), took)
	}
	return d
}
