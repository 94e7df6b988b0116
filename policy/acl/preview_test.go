package acl

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestPreview tells what the rules would do, without a count, and without a lookup unless it
// is asked for.
func TestPreview(t *testing.T) {
	names := &coretest.Resolver{Names: map[string][]netip.Addr{"rebound.test": {netip.MustParseAddr("10.0.0.1")}, "www.test": {netip.MustParseAddr("192.0.2.1")}}}
	p, _ := newPolicy(t, Options{DenyTargets: targetsOf(t, "denied.test", "10.0.0.0/8"), DenyUsers: []string{"mallory"}}, names)
	for _, tc := range []struct {
		user, to string
		ask      bool
		denied   bool
		asked    int
	}{
		{"", "www.test:1", false, false, 0},
		{"mallory", "www.test:1", false, true, 0},
		{"", "denied.test:1", false, true, 0},
		{"", "10.0.0.1:1", false, true, 0},
		{"", "rebound.test:1", false, false, 0},
		{"", "rebound.test:1", true, true, 1},
		{"", "www.test:1", true, false, 2},
	} {
		r, err := p.Preview(t.Context(), &core.Request{User: tc.user, Target: coretest.Addr(t, tc.to)}, tc.ask)
		if errors.Is(err, core.ErrDenied) != tc.denied || err == nil && r == nil {
			t.Errorf("%s by %q: got %v", tc.to, tc.user, err)
		}
		if got := len(names.Asked()); got != tc.asked {
			t.Errorf("%s: got %d lookups, want %d", tc.to, got, tc.asked)
		}
	}
	if n := p.tally.requests.Load(); n != 0 {
		t.Errorf("got %d requests counted", n)
	}
}
