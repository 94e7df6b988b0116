package dns

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestTTL checks for how long an answer is remembered: asked again one second
// before the end it is, and at the end it is not.
func TestTTL(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Options)
		answer func(question) (reply, error)
		life   time.Duration
	}{
		{"as it says", nil, says(60, "192.0.2.7"), time.Minute},
		{"one second", nil, says(1, "192.0.2.7"), time.Second},
		{"a year", nil, says(365*86400, "192.0.2.7"), 24 * time.Hour},
		{"a floor", func(o *Options) { o.MinTTL = option.Duration(3 * time.Second) }, says(0, "192.0.2.7"), 3 * time.Second},
		{"a ceiling", func(o *Options) { o.MaxTTL = option.Duration(10 * time.Second) }, says(60, "192.0.2.7"), 10 * time.Second},
		{"no such name", nil, denies(60, 30), 30 * time.Second},
		{"no such name, the SOA's own TTL", nil, denies(20, 30), 20 * time.Second},
		{"no such name, for long", nil, denies(86400, 86400), 15 * time.Minute},
		{"no such name, no SOA", nil, func(question) (reply, error) { return reply{rcode: dns.RcodeNameError}, nil }, 5 * time.Second},
		{"no such name, a stranger's SOA", nil, func(question) (reply, error) {
			return reply{rcode: dns.RcodeNameError, soa: &soa{"other", 60, 60}}, nil
		}, 5 * time.Second},
		{"no address", nil, says(40, "2001:db8::1"), 40 * time.Second},
		{"server failure", nil, breaks, 5 * time.Second},
		{"dead", nil, fails, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &fakeWire{answer: tc.answer}
			bubble(t, tc.change, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
				_, first := r.LookupIP(t.Context(), "a.test")
				asked := w.count()
				time.Sleep(tc.life - time.Second)
				if _, err := r.LookupIP(t.Context(), "A.TEST."); (err == nil) != (first == nil) || w.count() != asked {
					t.Errorf("a second before its end: got %v and %d questions, want %v and %d", err, w.count(), first, asked)
				}
				time.Sleep(time.Second)
				if _, err := r.LookupIP(t.Context(), "a.test"); (err == nil) != (first == nil) || w.count() != 2*asked {
					t.Errorf("at its end: got %v and %d questions, want %v and %d", err, w.count(), first, 2*asked)
				}
			})
		})
	}
}

// TestNoTTL checks that answers without a time are not remembered.
func TestNoTTL(t *testing.T) {
	for _, ttl := range []uint32{0, 1 << 31, 1<<32 - 1} {
		w := &fakeWire{answer: says(ttl, "192.0.2.7")}
		bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
			for n := 1; n <= 3; n++ {
				if finds(t, r, "a.test", "192.0.2.7", 0); w.count() != n {
					t.Errorf("TTL %d: got %d questions after %d lookups", ttl, w.count(), n)
				}
			}
		})
	}
}

// TestOneQuestion has many look up one name at once.
func TestOneQuestion(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7"), takes: func(question) time.Duration { return time.Second }}
	bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { finds(t, r, "a.test", "192.0.2.7", time.Second) })
		}
		if all.Wait(); w.count() != 1 {
			t.Errorf("got %d questions, want 1", w.count())
		}
	})
}

// TestLeave checks that a lookup that stops waiting does not cancel the query of others.
func TestLeave(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7"), takes: func(question) time.Duration { return time.Second }}
	bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		ips, err := r.LookupIP(ctx, "a.test")
		if ips != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v, want the context's error", ips, err)
		}
		finds(t, r, "a.test", "192.0.2.7", time.Second-time.Millisecond)
		if w.count() != 1 {
			t.Errorf("got %d questions, want 1", w.count())
		}
	})
}

// TestCrowd checks that no more questions are underway than max_queries.
func TestCrowd(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7"), takes: func(question) time.Duration { return time.Second }}
	bubble(t, func(o *Options) { o.MaxQueries = 2 }, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if _, err := r.LookupIP(t.Context(), fmt.Sprintf("n%d.test", i)); err != nil {
					t.Errorf("n%d: %v", i, err)
				}
			})
		}
		for n := 2; n <= 6; n += 2 {
			time.Sleep(time.Millisecond)
			if got := w.count(); got != n {
				t.Errorf("got %d questions, want %d", got, n)
			}
			time.Sleep(time.Second)
		}
		all.Wait()
	})
}

// TestKeep checks what a reload keeps.
func TestKeep(t *testing.T) {
	env := coretest.Env(t)
	make := func(change func(*Options)) *Resolver {
		o := options(t, "192.0.2.1", "tls://192.0.2.2")
		if change != nil {
			change(&o)
		}
		return startIn(t, env, o)
	}
	first := make(nil)
	first.store.put(&entry{question: question{"a.test", dns.TypeA}, ips: addrs("192.0.2.7"), ttl: time.Hour, until: time.Now().Add(time.Hour)})
	for _, tc := range []struct {
		name   string
		change func(*Options)
		kept   bool
	}{
		{"nothing changed", nil, true},
		{"smaller", func(o *Options) { o.CacheEntries, o.Timeout = 2048, option.Duration(time.Second) }, true},
		{"tiny", func(o *Options) { o.CacheEntries = 10 }, false},
		{"back", nil, false},
		{"other servers", func(o *Options) { o.Servers = nameServers(t, "192.0.2.3") }, false},
		{"split", func(o *Options) { o.Domains = map[string][]option.NameServer{"corp.test": nameServers(t, "192.0.2.4")} }, false},
	} {
		r := make(tc.change)
		if got := r.store.get(question{"a.test", dns.TypeA}) != nil; got != tc.kept {
			t.Errorf("%s: got kept %t, want %t", tc.name, got, tc.kept)
		}
	}
}

// TestEnd checks that lookups of an ended resolver fail and those underway do.
func TestEnd(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7"), takes: func(question) time.Duration { return time.Hour }}
	bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		done := make(chan error, 1)
		go func() {
			_, err := r.LookupIP(t.Context(), "a.test")
			done <- err
		}()
		time.Sleep(time.Millisecond)
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil {
			t.Error("underway: got nil, want an error")
		}
		if _, err := r.LookupIP(t.Context(), "b.test"); !errors.Is(err, core.ErrShutdown) {
			t.Errorf("later: got %v, want core.ErrShutdown", err)
		}
	})
}
