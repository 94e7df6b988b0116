package ban

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/policy/store"
)

// wantFigures compares those of a policy, of which each left out is 0.
func wantFigures(t *testing.T, what string, p *Policy, want map[string]float64) {
	t.Helper()
	all := map[string]float64{`umbra_bans{policy="ban"}`: 0, `umbra_policy_refusals_total{policy="ban",reason="banned"}`: 0}
	for _, reason := range causeNames {
		all[fmt.Sprintf(`umbra_bans_total{policy="ban",reason=%q}`, reason)] = 0
	}
	maps.Copy(all, want)
	if got := coretest.Figures(p); !maps.Equal(got, all) {
		t.Errorf("%s:\ngot  %v\nwant %v", what, got, all)
	}
}

// TestMeasure bans for each cause, and loads the file again.
func TestMeasure(t *testing.T) {
	e, _ := env()
	made := func() *Policy {
		p, err := New(e, defaults())
		if err != nil {
			t.Fatal(err)
		}
		return p.(*Policy)
	}
	p := made()
	wantFigures(t, "nothing yet", p, nil)
	fail(p, client("192.0.2.1"), 3, core.ErrAuth)
	fail(p, client("192.0.2.2"), 30, core.ErrShort)
	fail(p, client("192.0.2.3"), 1, core.ErrAuth)
	fail(p, client("192.0.2.3"), 2, core.ErrReplay)
	for _, words := range [][]string{{"add", "203.0.113.0/24"}, {"add", "203.0.113.0/24", "1h"}} {
		if _, err := p.Command(t.Context(), words); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	v, _ := json.Marshal(value{Since: now.UnixMilli(), Until: now.Add(time.Minute).UnixMilli(), Count: 1, Failure: "auth 3"})
	set := shared{p.table, "ban/ban/"}
	set.Merge(store.Entry{Key: "ban/ban/198.51.100.1/32", Value: v, At: now, Until: now.Add(time.Hour)})
	for range 4 {
		_ = p.Admit(client("192.0.2.1"))
	}
	_ = p.Admit(client("192.0.2.9"))
	want := map[string]float64{
		`umbra_bans{policy="ban"}`:                                  5,
		`umbra_bans_total{policy="ban",reason="auth"}`:              1,
		`umbra_bans_total{policy="ban",reason="short"}`:             1,
		`umbra_bans_total{policy="ban",reason="replay"}`:            1,
		`umbra_bans_total{policy="ban",reason="hand"}`:              2,
		`umbra_bans_total{policy="ban",reason="store"}`:             1,
		`umbra_policy_refusals_total{policy="ban",reason="banned"}`: 4,
	}
	wantFigures(t, "five bans", p, want)
	p = made()
	wantFigures(t, "after a reload", p, want)
	coretest.TestMeasurer(t, p, func() { fail(p, client("192.0.2.4"), 3, core.ErrAuth); _ = p.Admit(client("192.0.2.4")) })

	want[`umbra_bans{policy="ban"}`] = 4 // one more, and one lifted, and one has ended
	want[`umbra_bans_total{policy="ban",reason="auth"}`] = 2
	want[`umbra_policy_refusals_total{policy="ban",reason="banned"}`] = 5
	if _, err := p.Command(t.Context(), []string{"remove", "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	p.table.sweep(now.Add(2 * time.Minute))
	wantFigures(t, "some have ended", p, want)
	p.table.sweep(now.Add(1000 * time.Hour))
	want[`umbra_bans{policy="ban"}`] = 0
	wantFigures(t, "all have ended", p, want)
}

// TestMeasureObserve bans and refuses nobody.
func TestMeasureObserve(t *testing.T) {
	o := defaults()
	o.Mode = "observe"
	p, _ := newPolicy(t, o)
	fail(p, client("192.0.2.1"), 3, core.ErrAuth)
	_ = p.Admit(client("192.0.2.1"))
	wantFigures(t, "observe", p, map[string]float64{`umbra_bans{policy="ban"}`: 1, `umbra_bans_total{policy="ban",reason="auth"}`: 1})
}

// TestHolding compares the count of active bans with the bans after each of many changes.
func TestHolding(t *testing.T) {
	o := defaults()
	o.MaxEntries = 5
	p, _ := newPolicy(t, o)
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	for i := range 2000 {
		addr := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.IntN(12))}), 32)
		switch rng.IntN(4) {
		case 0:
			p.table.impose(addr, time.Duration(rng.IntN(100))*time.Second, now)
		case 1:
			p.table.lift(addr, now)
		case 2:
			b := Ban{Addr: addr, At: now, Since: now, Until: now.Add(time.Duration(rng.IntN(100)-20) * time.Second), Count: 1, Lifted: rng.IntN(3) == 0}
			p.table.merge(b, now)
		case 3:
			now = now.Add(time.Duration(rng.IntN(30)) * time.Second)
			p.table.sweep(now)
		}
		p.table.sweep(now)
		if got, want := p.table.active(), p.table.stats(now).Banned; got != want {
			t.Fatalf("step %d: got %d, want %d", i, got, want)
		}
	}
}
