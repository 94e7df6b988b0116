package inbound

import (
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// keepQuota returns the quota of a generation with these bounds.
func keepQuota(t testing.TB, env core.Env, most, perClient int) *Quota {
	t.Helper()
	return KeepQuota(env, Options{MaxSessions: most, ClientSessions: perClient})
}

func TestQuota(t *testing.T) {
	const (
		a, b     = "192.0.2.1", "192.0.2.2"
		six, too = "2001:db8::1", "2001:db8::2" // one client
		other    = "2001:db8:0:1::1"
		local    = "127.0.0.1"
	)
	for _, tc := range []struct {
		name            string
		most, perClient int
		steps           []string // an address takes one; after a minus it gives one back
		want            string   // of each taking: y or n
	}{
		{"of a client", 10, 2, []string{a, a, a, b, b, b}, "yynyyn"},
		{"in all", 3, 2, []string{a, a, b, b, "-" + a, b}, "yyyny"},
		{"given back", 10, 1, []string{a, a, "-" + a, a, a}, "ynyn"},
		{"a /64 is a client", 10, 2, []string{six, too, six, other}, "yyny"},
		{"this machine has no bound of its own", 4, 1, []string{local, local, local, a, local}, "yyyyn"},
		{"what is refused does not count", 2, 1, []string{a, a, a, b, b}, "ynnyn"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := keepQuota(t, coretest.Env(t), tc.most, tc.perClient)
			held := map[netip.Addr]int{}
			got := ""
			for _, step := range tc.steps {
				if step[0] == '-' {
					ip := netip.MustParseAddr(step[1:])
					q.Give(ip)
					held[ip]--
					continue
				}
				ip := netip.MustParseAddr(step)
				if q.Take(ip) {
					held[ip]++
					got += "y"
				} else {
					got += "n"
				}
			}
			if got != tc.want {
				t.Errorf("taken: got %s, want %s", got, tc.want)
			}
			for ip, n := range held {
				for range n {
					q.Give(ip)
				}
			}
			if q.all != 0 || len(q.clients) != 0 {
				t.Errorf("after all were given back: got %d, %d clients, want none", q.all, len(q.clients))
			}
		})
	}
}

// What one generation handed out counts for the next, whose bounds hold.
func TestQuotaKept(t *testing.T) {
	env, ip := coretest.Env(t), netip.MustParseAddr("192.0.2.1")
	first := keepQuota(t, env, 10, 5)
	for range 4 {
		first.Take(ip)
	}
	second := keepQuota(t, env, 10, 3)
	if second.Take(ip) {
		t.Error("over the new bound: got taken")
	}
	first.Give(ip)
	first.Give(ip)
	if !second.Take(ip) || first.Take(ip) {
		t.Error("after two were given back: got not one that can be taken")
	}
}
