package ban

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/policy/store"
)

// run has a policy work until stop is called.
func run(t *testing.T, p *Policy) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	return func() { cancel(); <-done }
}

// TestRestart keeps bans, and how many there were, in a file over a restart.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bans")
	o := defaults()
	if err := o.Store.UnmarshalText([]byte("file:" + path)); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c, range4 := client("192.0.2.7"), netip.MustParsePrefix("198.51.100.0/24")
		first, _ := newPolicy(t, o)
		stop := run(t, first)
		synctest.Wait()
		fail(first, c, 3, core.ErrAuth)
		first.table.impose(range4, time.Hour, time.Now())
		fail(first, client("192.0.2.8"), 3, core.ErrAuth)
		first.table.lift(netip.MustParsePrefix("192.0.2.8/32"), time.Now())
		stop()
		second, log := newPolicy(t, o)
		if !isBanned(second, c) || !isBanned(second, client("198.51.100.200")) || isBanned(second, client("192.0.2.8")) {
			t.Errorf("after a restart: banned %t, %t, %t, want the first two", isBanned(second, c), isBanned(second, client("198.51.100.200")), isBanned(second, client("192.0.2.8")))
		}
		stop = run(t, second)
		synctest.Wait()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if isBanned(second, c) || !strings.Contains(log.String(), "ban ended") {
			t.Error("a ban from before a restart did not end")
		}
		fail(second, c, 3, core.ErrAuth)
		time.Sleep(20*time.Minute - time.Second)
		if !isBanned(second, c) {
			t.Error("a restart made a second ban a first one")
		}
		stop()
	})
}

// TestReload keeps the table, and follows the options of the new file once that is
// served.
func TestReload(t *testing.T) {
	e, _ := env()
	make := func(o Options) *Policy {
		p, err := New(e, o)
		if err != nil {
			t.Fatal(err)
		}
		return p.(*Policy)
	}
	synctest.Test(t, func(t *testing.T) {
		old := make(defaults())
		stop := run(t, old)
		synctest.Wait()
		fail(old, client("192.0.2.7"), 3, core.ErrAuth)
		o := defaults()
		o.Failures = 1
		next := make(o)
		if fail(old, client("192.0.2.8"), 1, core.ErrAuth); isBanned(old, client("192.0.2.8")) {
			t.Error("a file that is only checked changed what is served")
		}
		stopNext := run(t, next)
		synctest.Wait()
		if fail(next, client("192.0.2.9"), 1, core.ErrAuth); !isBanned(next, client("192.0.2.9")) || !isBanned(next, client("192.0.2.7")) {
			t.Error("after a reload: want the new rule, and the old bans")
		}
		stop()
		stopNext()
	})
}

// TestMerge takes in what others know: the later change counts, on whatever node.
func TestMerge(t *testing.T) {
	now := time.Now()
	addr := netip.MustParsePrefix("192.0.2.7/32")
	entry := func(at time.Duration, ban string) store.Entry {
		return store.Entry{Key: "ban/ban/" + addr.String(), Value: []byte(ban), At: now.Add(at), Until: now.Add(time.Hour)}
	}
	value := func(until time.Duration, count int) string {
		return fmt.Sprintf(`{"since":%d,"until":%d,"count":%d,"failures":"auth 3"}`, now.UnixMilli(), now.Add(until).UnixMilli(), count)
	}
	for _, tc := range []struct {
		name   string
		own    func(*table)
		entry  store.Entry
		banned bool
		until  time.Duration
	}{
		{"new", nil, entry(0, value(time.Hour, 1)), true, time.Hour},
		{"over long ago", nil, entry(0, value(-48*time.Hour, 1)), false, 0},
		{"ended, still counts", nil, entry(0, value(-time.Hour, 3)), false, -time.Hour},
		{"too long", nil, entry(0, value(100_000*time.Hour, 1)), true, 168 * time.Hour},
		{"too often", nil, entry(0, value(time.Hour, math.MaxInt)), true, time.Hour},
		{"older than ours", func(t *table) { t.impose(addr, time.Minute, now) }, entry(-time.Second, value(time.Hour, 1)), true, time.Minute},
		{"newer than ours", func(t *table) { t.impose(addr, time.Minute, now) }, entry(time.Second, value(time.Hour, 1)), true, time.Hour},
		{"lifted by others", func(t *table) { t.impose(addr, time.Minute, now) }, entry(time.Second, ""), false, time.Minute},
		{"lifted before", func(t *table) { t.impose(addr, time.Minute, now) }, entry(-time.Second, ""), true, time.Minute},
		{"lifted, unknown here", nil, entry(0, ""), false, 0},
		{"nonsense", nil, entry(0, "{"), false, 0},
		{"no address", nil, store.Entry{Key: "ban/ban/localhost", Value: []byte(value(time.Hour, 1)), At: now, Until: now}, false, 0},
		{"bits beyond the prefix", nil, store.Entry{Key: "ban/ban/192.0.2.7/24", Value: []byte(value(time.Hour, 1)), At: now, Until: now}, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _ := newPolicy(t, defaults())
			if tc.own != nil {
				tc.own(p.table)
			}
			shared{p.table, "ban/ban/"}.Merge(tc.entry)
			if got := isBanned(p, client("192.0.2.7")); got != tc.banned {
				t.Errorf("banned %t, want %t", got, tc.banned)
			}
			if r := p.table.bans[addr]; tc.until != 0 {
				if r == nil || r.Until.Sub(now.Add(tc.until)).Abs() > time.Second || r.Count > maxCount {
					t.Errorf("got %+v, want it until %s", r, now.Add(tc.until))
				}
			} else if r != nil {
				t.Errorf("got %+v, want no record", r.Ban)
			}
		})
	}
}

// TestEntries copies a table through its entries.
func TestEntries(t *testing.T) {
	a, _ := newPolicy(t, defaults())
	b, _ := newPolicy(t, defaults())
	fail(a, client("192.0.2.7"), 3, core.ErrAuth)
	fail(a, client("2001:db8::7"), 3, core.ErrReplay)
	a.table.impose(netip.MustParsePrefix("198.51.100.0/24"), time.Hour, time.Now())
	for e := range (shared{a.table, "ban/ban/"}).All() {
		shared{b.table, "ban/ban/"}.Merge(e)
	}
	for _, ip := range []string{"192.0.2.7", "2001:db8::99", "198.51.100.1"} {
		if !isBanned(b, client(ip)) {
			t.Errorf("%s is not banned on the other node", ip)
		}
	}
	if len(b.table.list()) != 3 {
		t.Errorf("got %d bans, want 3", len(b.table.list()))
	}
}

// BenchmarkAdmit asks about clients beside a million bans.
func BenchmarkAdmit(b *testing.B) {
	for _, n := range []int{0, 1_000_000} {
		o := defaults()
		o.MaxEntries = 2_000_000
		p, _ := newPolicy(b, o)
		p.table.log = slog.New(slog.DiscardHandler)
		for i := range n {
			p.table.impose(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), time.Hour, time.Now())
		}
		for name, c := range map[string]core.Client{"free": client("192.0.2.7"), "banned": client("10.0.1.2")} {
			if n == 0 && name == "banned" {
				continue
			}
			b.Run(fmt.Sprintf("%d bans/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						_ = p.Admit(c)
					}
				})
			})
		}
	}
}

// BenchmarkObserve is what a connection that is served costs, and one that failed.
func BenchmarkObserve(b *testing.B) {
	p, _ := newPolicy(b, defaults())
	p.table.log = slog.New(slog.DiscardHandler)
	c := client("192.0.2.7")
	b.Run("served", func(b *testing.B) {
		b.ReportAllocs()
		e := core.Event{Kind: core.Opened, Client: c, Request: &core.Request{}, Authenticated: true}
		for b.Loop() {
			p.Observe(e)
		}
	})
	b.Run("failed", func(b *testing.B) {
		b.ReportAllocs()
		e := core.Event{Kind: core.HandshakeFailed, Client: c, Err: core.ErrAuth}
		for i := 0; b.Loop(); i++ {
			e.Client.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
			p.Observe(e)
		}
	})
}

// TestCommand does what people ask for.
func TestCommand(t *testing.T) {
	p, _ := newPolicy(t, defaults())
	do := func(words ...string) (any, error) { return p.Command(t.Context(), words) }
	for _, words := range [][]string{{"add", "203.0.113.7"}, {"add", "198.51.100.9/24", "1h"}, {"add", "2001:db8::7", "30s"}, {"add", "::ffff:192.0.2.1"}} {
		if _, err := do(words...); err != nil {
			t.Errorf("%q: %v", words, err)
		}
	}
	fail(p, client("203.0.113.9"), 2, core.ErrAuth)
	if !isBanned(p, client("203.0.113.7")) || !isBanned(p, client("198.51.100.250")) || !isBanned(p, client("2001:db8::1")) || !isBanned(p, client("192.0.2.1")) {
		t.Error("a client that was added is not banned")
	}
	if _, err := do("remove", "198.51.100.0/24"); err != nil || isBanned(p, client("198.51.100.250")) {
		t.Errorf("remove: %v, banned still: %t", err, isBanned(p, client("198.51.100.250")))
	}
	lines, err := do("list")
	if got := lines.(Lines); err != nil || len(got) != 3 || got[0].Failures != byHand {
		t.Errorf("list: got %v, %v, want three", lines, err)
	}
	if got, err := do("stats"); err != nil || got != (Stats{Banned: 3, Remembered: 1, Failing: 1, Refused: 3}) {
		t.Errorf("stats: got %+v, %v", got, err)
	}
	for _, words := range [][]string{
		nil, {"list", "x"}, {"add"}, {"add", "localhost"}, {"add", "192.0.2.1", "never"}, {"add", "192.0.2.1", "-1s"}, {"add", "192.0.2.1", "9999h"},
		{"add", "::ffff:192.0.2.0/120"}, {"remove", "203.0.113.200"}, {"remove"}, {"drop", "x"},
	} {
		if got, err := do(words...); err == nil {
			t.Errorf("%q: got %v, want an error", words, got)
		}
	}
}

// TestAnswers checks what people see.
func TestAnswers(t *testing.T) {
	p, _ := newPolicy(t, defaults())
	do := func(words ...string) string {
		t.Helper()
		answer, err := p.Command(t.Context(), words)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(answer)
	}
	if got := do("list"); got != "no client is banned" {
		t.Errorf("got %q", got)
	}
	if got := do("add", "198.51.100.9/24", "24h"); got != "198.51.100.0/24 is banned for 24h0m0s" {
		t.Errorf("got %q", got)
	}
	if got := do("list"); !strings.HasPrefix(got, "client           since                left") || !strings.Contains(got, "\n198.51.100.0/24  20") || strings.Count(got, "\n") != 1 {
		t.Errorf("got\n%s", got)
	}
	if got := do("remove", "198.51.100.0/24"); got != "198.51.100.0/24 is no longer banned" {
		t.Errorf("got %q", got)
	}
	if got := do("stats"); !strings.HasPrefix(got, "banned                             0\nconnections refused ") {
		t.Errorf("got\n%s", got)
	}
}
