package system

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFamilies checks which of the system's addresses are given, and in what order.
func TestFamilies(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	from := &coretest.Resolver{Names: map[string][]netip.Addr{"both.test": {four, six}, "four.test": {four}}}
	for _, tc := range []struct {
		prefer option.Family
		name   string
		want   []netip.Addr
	}{
		{"ipv4", "both.test", []netip.Addr{four, six}},
		{"ipv6", "both.test", []netip.Addr{six, four}},
		{"ipv6-only", "both.test", []netip.Addr{six}},
		{"ipv6-only", "four.test", nil},
		{"auto", "four.test", []netip.Addr{four}},
		{"auto", "none.test", nil},
	} {
		made, err := New(coretest.Env(t), Options{Prefer: tc.prefer})
		if err != nil {
			t.Fatal(err)
		}
		r := made.(*Resolver)
		r.from = from
		got, err := r.LookupIP(t.Context(), tc.name)
		dns, ok := errors.AsType[*net.DNSError](err)
		if !slices.Equal(got, tc.want) || (tc.want == nil) != (ok && dns.IsNotFound) {
			t.Errorf("%s, %s: got %v, %v, want %v", tc.prefer, tc.name, got, err, tc.want)
		}
		if found, err := r.Tell(t.Context(), tc.name); len(found) != len(tc.want) || (err == nil) != (tc.want != nil) {
			t.Errorf("%s, %s: told %v, %v, want %v", tc.prefer, tc.name, found, err, tc.want)
		}
	}
}

func TestConformance(t *testing.T) {
	coretest.TestResolver(t, coretest.Names{Known: "localhost", Missing: "none.invalid"}, func(t testing.TB) core.Resolver {
		r, err := New(coretest.Env(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
}

// TestMeasure counts lookups by their results, over a reload too.
func TestMeasure(t *testing.T) {
	env := coretest.Env(t)
	load := func() *Resolver {
		made, err := New(env, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return made.(*Resolver)
	}
	r := load()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []struct {
		ctx  context.Context
		name string
		err  error
	}{
		{t.Context(), "a.test", nil}, {t.Context(), "a.test", nil}, {t.Context(), "none.test", nil},
		{t.Context(), "a.test", context.DeadlineExceeded}, {t.Context(), "a.test", errors.New("no server")}, {gone, "a.test", context.Canceled},
	} {
		r.from = &coretest.Resolver{Names: map[string][]netip.Addr{"a.test": {netip.MustParseAddr("192.0.2.1")}}, Err: step.err}
		_, _ = r.LookupIP(step.ctx, step.name)
	}
	r = load()
	got := coretest.Figures(r)
	for result, n := range map[string]float64{"ok": 2, "missing": 1, "error": 0, "timeout": 1, "failed": 1, "cancelled": 1} {
		if series := `umbra_resolver_queries_total{resolver="test",server="system",result="` + result + `"}`; got[series] != n {
			t.Errorf("%s: got %v, want %v", result, got[series], n)
		}
	}
	if n := got[`umbra_resolver_seconds{resolver="test",server="system"}`]; n != 3 {
		t.Errorf("got %v answers, want 3", n)
	}
	coretest.TestMeasurer(t, r, func() { _, _ = r.LookupIP(t.Context(), "localhost") })
}
