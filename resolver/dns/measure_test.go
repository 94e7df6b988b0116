package dns

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
)

// results are the figures of a server.
func results(server string, by map[string]float64) map[string]float64 {
	all, answers := map[string]float64{}, 0.0
	for _, r := range []string{"ok", "missing", "error", "timeout", "failed", "cancelled"} {
		all[fmt.Sprintf(`umbra_resolver_queries_total{resolver="test",server=%q,result=%q}`, server, r)] = by[r]
		if r == "ok" || r == "missing" || r == "error" {
			answers += by[r]
		}
	}
	all[fmt.Sprintf(`umbra_resolver_seconds{resolver="test",server=%q}`, server)] = answers
	return all
}

// TestMeasure has two servers that answer, deny, break, fail and are silent.
func TestMeasure(t *testing.T) {
	first, second := &fakeWire{}, &fakeWire{}
	bubble(t, nil, []*fakeWire{first, second}, func(t *testing.T, r *Resolver) {
		look := func(name string, times int) {
			for range times {
				_, _ = r.LookupIP(t.Context(), name)
			}
		}
		second.becomes(says(3600, "192.0.2.20"), time.Second)
		first.becomes(says(3600, "192.0.2.10"), time.Millisecond)
		look("ok.test", 4) // three of them from the cache
		first.becomes(denies(3600, 3600), time.Millisecond)
		look("missing.test", 2) // one from the cache
		first.becomes(breaks, 0)
		look("broken.test", 1) // the second answers
		first.becomes(fails, 0)
		look("failed.test", 1) // the second answers
		time.Sleep(time.Hour)  // the first has rested
		first.becomes(says(3600, "192.0.2.10"), time.Hour)
		look("silent.test", 1) // the second is asked soon, and answers
		time.Sleep(time.Minute)
		want := results("udp://192.0.2.1", map[string]float64{"ok": 1, "missing": 1, "error": 1, "failed": 1, "cancelled": 1})
		maps.Copy(want, results("udp://192.0.2.2", map[string]float64{"ok": 3}))
		want[`umbra_resolver_cache_hits_total{resolver="test"}`] = 4
		if got := coretest.Figures(r); !maps.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

// TestMeasureReload keeps what was counted of a server that stays.
func TestMeasureReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := coretest.Env(t)
		load := func(servers ...string) *Resolver {
			made, err := New(env, options(t, servers...))
			if err != nil {
				t.Fatal(err)
			}
			r := made.(*Resolver)
			for _, u := range r.upstreams {
				u.wire = &fakeWire{answer: says(0, "192.0.2.10")}
			}
			return r
		}
		r := load("192.0.2.1", "192.0.2.2")
		for range 3 {
			if _, err := r.LookupIP(t.Context(), "a.test"); err != nil {
				t.Error(err)
			}
		}
		const asked = 6 // both families, three times
		_ = r.Shutdown(context.Background())
		r = load("192.0.2.3", "192.0.2.1")
		got := coretest.Figures(r)
		want := results("udp://192.0.2.1", map[string]float64{"ok": asked})
		maps.Copy(want, results("udp://192.0.2.3", nil))
		want[`umbra_resolver_cache_hits_total{resolver="test"}`] = 0
		if !maps.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		coretest.TestMeasurer(t, r, func() { _, _ = r.LookupIP(t.Context(), "b.test") })
		_ = r.Shutdown(context.Background())
	})
}
