package system

import (
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
