package dns

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/umbra-proxy/umbra/core/option"
)

// silence takes longer than anybody waits.
func silence(question) time.Duration { return time.Hour }

func after(d time.Duration) func(question) time.Duration {
	return func(question) time.Duration { return d }
}

// TestFailover checks who is asked when, and when the answer is there.
func TestFailover(t *testing.T) {
	good := func() *fakeWire { return &fakeWire{answer: says(60, "192.0.2.7")} }
	silent := func() *fakeWire { return &fakeWire{answer: fails, takes: silence} }
	for _, tc := range []struct {
		name  string
		wires []*fakeWire
		asked []int // of each server
		took  time.Duration
	}{
		{"the first is fine", []*fakeWire{good(), good()}, []int{1, 0}, 0},
		{"the first is silent", []*fakeWire{silent(), good()}, []int{1, 1}, 2 * time.Second},
		{"the first is dead", []*fakeWire{{answer: fails}, good()}, []int{1, 1}, 0},
		{"the first is broken", []*fakeWire{{answer: breaks}, good()}, []int{1, 1}, 0},
		{"the first is lame", []*fakeWire{{answer: func(question) (reply, error) { return reply{referral: true}, nil }}, good()}, []int{1, 1}, 0},
		{"two are silent", []*fakeWire{silent(), silent(), good()}, []int{1, 1, 1}, 4 * time.Second},
		{"the first is slow", []*fakeWire{{answer: says(60, "192.0.2.7"), takes: after(1900 * time.Millisecond)}, good()}, []int{1, 0}, 1900 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, nil, tc.wires, func(t *testing.T, r *Resolver) {
				finds(t, r, "a.test", "192.0.2.7", tc.took)
				for i, w := range tc.wires {
					if w.count() != tc.asked[i] {
						t.Errorf("server %d: got %d questions, want %d", i, w.count(), tc.asked[i])
					}
				}
			})
		})
	}
}

// TestNoAnswer checks the error, and its time, if no server answers.
func TestNoAnswer(t *testing.T) {
	for _, tc := range []struct {
		name  string
		wires []*fakeWire
		took  time.Duration
		asked int // all together
		text  string
		out   bool // a timeout
	}{
		{"one, silent", []*fakeWire{{answer: fails, takes: silence}}, 4 * time.Second, 2, "udp://192.0.2.1: no answer within 2s", true},
		{"three, silent", []*fakeWire{{answer: fails, takes: silence}, {answer: fails, takes: silence}, {answer: fails, takes: silence}}, 5 * time.Second, 3, "no answer within ", true},
		{"dead", []*fakeWire{{answer: fails}}, 0, 2, "udp://192.0.2.1: dead; udp://192.0.2.1: dead", false},
		{"broken", []*fakeWire{{answer: breaks}, {answer: breaks}}, 0, 2, "udp://192.0.2.2: server failure: SERVFAIL", false},
		{"broken and silent", []*fakeWire{{answer: breaks}, {answer: fails, takes: silence}}, 4 * time.Second, 4, "SERVFAIL", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, nil, tc.wires, func(t *testing.T, r *Resolver) {
				err := lacks(t, r, "a.test", tc.took)
				if !err.IsTemporary || err.IsNotFound || err.IsTimeout != tc.out || !strings.Contains(err.Err, tc.text) || strings.Contains(err.Err, "\n") {
					t.Errorf("got %+v, want a temporary error with %q, timeout %t", err, tc.text, tc.out)
				}
				asked := 0
				for _, w := range tc.wires {
					asked += w.count()
				}
				if asked != tc.asked {
					t.Errorf("got %d questions, want %d", asked, tc.asked)
				}
			})
		})
	}
}

// TestRest checks that a server that failed rests, longer each time, and that it
// costs little to see whether it is back.
func TestRest(t *testing.T) {
	first, second := &fakeWire{answer: fails, takes: silence}, &fakeWire{answer: says(1, "192.0.2.7")}
	bubble(t, func(o *Options) { o.ServeStale = 0 }, []*fakeWire{first, second}, func(t *testing.T, r *Resolver) {
		finds(t, r, "a.test", "192.0.2.7", 2*time.Second)
		var tried []time.Duration // after the first failure
		began := time.Now()
		for time.Since(began) < 3*time.Minute {
			asked, at := first.count(), time.Now()
			if _, err := r.LookupIP(t.Context(), "a.test"); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(at); first.count() > asked {
				tried = append(tried, at.Sub(began).Round(time.Second))
				if took != hedgeDelay {
					t.Errorf("with the resting server: took %v, want %v", took, hedgeDelay)
				}
			} else if took != 0 {
				t.Errorf("without it: took %v, want nothing", took)
			}
			time.Sleep(time.Second + time.Millisecond)
		}
		if len(tried) < 3 || len(tried) > 100 {
			t.Errorf("tried %d times in three minutes: %v", len(tried), tried)
		}
		first.becomes(says(1, "192.0.2.8"), 0)
		time.Sleep(longRest)
		finds(t, r, "a.test", "192.0.2.8", 0)
		time.Sleep(time.Second)
		if asked := second.count(); true {
			finds(t, r, "a.test", "192.0.2.8", 0)
			if second.count() != asked {
				t.Errorf("after the first is back: got %d questions to the second, want %d", second.count(), asked)
			}
		}
	})
}

func TestRace(t *testing.T) {
	wires := []*fakeWire{
		{answer: says(60, "192.0.2.1"), takes: after(30 * time.Millisecond)},
		{answer: says(60, "192.0.2.2"), takes: after(10 * time.Millisecond)},
		{answer: fails},
	}
	bubble(t, func(o *Options) { o.Strategy = "race" }, wires, func(t *testing.T, r *Resolver) {
		finds(t, r, "a.test", "192.0.2.2", 10*time.Millisecond)
		for i, w := range wires {
			if w.count() != 1 {
				t.Errorf("server %d: got %d questions, want 1", i, w.count())
			}
		}
		if failures, _ := r.upstreams[0].health(dns.TypeA); failures != 0 {
			t.Errorf("the one that lost: got %d failures, want 0", failures)
		}
	})
}

func TestSpread(t *testing.T) {
	wires := []*fakeWire{{answer: says(0, "192.0.2.1")}, {answer: says(0, "192.0.2.2")}, {answer: says(0, "192.0.2.3")}}
	bubble(t, func(o *Options) { o.Strategy = "spread" }, wires, func(t *testing.T, r *Resolver) {
		for range 30 {
			if _, err := r.LookupIP(t.Context(), "a.test"); err != nil {
				t.Fatal(err)
			}
		}
		for i, w := range wires {
			if w.count() != 10 {
				t.Errorf("server %d: got %d questions, want 10", i, w.count())
			}
		}
	})
}

// TestSplit checks which servers are asked about which names.
func TestSplit(t *testing.T) {
	o := options(t, "192.0.2.1")
	o.Domains = map[string][]option.NameServer{
		"corp.test": nameServers(t, "10.0.0.1"), "Lab.Corp.test.": nameServers(t, "10.0.0.2", "192.0.2.1"),
	}
	r := start(t, o)
	for name, want := range map[string][]string{
		"a.test": {"udp://192.0.2.1"}, "test": {"udp://192.0.2.1"}, "notcorp.test": {"udp://192.0.2.1"},
		"corp.test": {"udp://10.0.0.1"}, "a.b.corp.test": {"udp://10.0.0.1"}, "xlab.corp.test": {"udp://10.0.0.1"},
		"lab.corp.test": {"udp://10.0.0.2", "udp://192.0.2.1"}, "a.lab.corp.test": {"udp://10.0.0.2", "udp://192.0.2.1"},
	} {
		var got []string
		for _, u := range r.serversFor(name).servers {
			got = append(got, u.name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if len(r.upstreams) != 3 {
		t.Errorf("got %d servers, want 3: one in two lists is one", len(r.upstreams))
	}
}
