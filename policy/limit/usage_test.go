package limit

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

// used returns what a node knows that a user has used.
func (us *users) used(name string) int64 {
	us.mu.Lock()
	defer us.mu.Unlock()
	u := us.all[name]
	if u == nil {
		return 0
	}
	return u.own.Load() + u.others.Load()
}

// TestUsageConverges has nodes count, tell, come and go at random, with a store that
// loses all now and then, and entries that come late, again and in any order. In the
// end all know the sum, and never more than that before.
func TestUsageConverges(t *testing.T) {
	for round := range 50 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		synctest.Test(t, func(t *testing.T) {
			o := Options{QuotaPerUser: option.MaxSize}
			var nodes []*users
			started := 0
			start := func() *users {
				started++
				us, _ := fresh(o, fmt.Sprint("node", started))
				return us
			}
			for range 3 {
				nodes = append(nodes, start())
			}
			names := []string{"alice", "bob", "a/b"}
			want := map[string]int64{}
			shared := map[string]store.Entry{}
			var late []store.Entry
			tell := func(e store.Entry) {
				if e.Newer(shared[e.Key]) {
					shared[e.Key] = e
				}
				late = append(late, e)
			}
			compare := func(us *users) {
				for _, e := range shared {
					usage{us}.Merge(e)
				}
				for e := range (usage{us}).All() {
					if e.Newer(shared[e.Key]) {
						shared[e.Key] = e
					}
				}
			}
			for range 400 {
				i := random.IntN(len(nodes))
				us, name := nodes[i], names[random.IntN(len(names))]
				switch random.IntN(8) {
				case 0, 1, 2:
					n := random.IntN(1000)
					f, m := open(t, us, name)
					if _, err := m.Take(n, 1); err != nil {
						t.Fatal(err)
					}
					us.leave(f)
					want[name] += int64(n) + 1
				case 3:
					us.tick(time.Now(), tell)
				case 4:
					compare(us)
				case 5:
					for range 5 {
						if len(late) > 0 {
							usage{us}.Merge(late[random.IntN(len(late))])
						}
					}
				case 6:
					if random.IntN(10) == 0 {
						clear(shared)
					}
				case 7: // it ends in order, and another one begins
					if random.IntN(5) == 0 {
						us.tick(time.Now(), tell)
						compare(us)
						nodes[i] = start()
						compare(nodes[(i+1)%3])
					}
				}
				time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
				for _, us := range nodes {
					for _, name := range names {
						if got := us.used(name); got > want[name] {
							t.Fatalf("seed %d: %s: got %d bytes, want %d at the most", seed, name, got, want[name])
						}
					}
				}
			}
			for range 2 {
				for _, us := range nodes {
					us.tick(time.Now(), tell)
					compare(us)
				}
			}
			for i, us := range nodes {
				for _, name := range names {
					if got := us.used(name); got != want[name] {
						t.Errorf("seed %d, round %d: node %d, %s: got %d bytes, want %d", seed, round, i, name, got, want[name])
					}
				}
			}
		})
	}
}

// TestUsagePeriods has entries of other periods come: they don't count, and those of
// the last one are not told.
func TestUsagePeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{QuotaPerUser: 1000}
		a, _ := fresh(o, "a")
		b, _ := fresh(o, "b")
		_, m := open(t, a, "alice")
		_, _ = m.Take(400, 0)
		var told []store.Entry
		a.tick(time.Now(), func(e store.Entry) { told = append(told, e) })
		if len(told) != 1 || told[0].Key != "limit/test/2000-01-01/a/alice" || string(told[0].Value) != "400" ||
			!told[0].Until.Equal(time.Date(2000, 2, 2, 0, 0, 0, 0, time.UTC)) {
			t.Fatalf("got %+v", told)
		}
		a.tick(time.Now(), func(e store.Entry) { t.Errorf("got %+v again", e) })
		usage{b}.Merge(told[0])
		if got := b.used("alice"); got != 400 {
			t.Errorf("got %d bytes, want 400", got)
		}
		time.Sleep(31 * 24 * time.Hour)
		for _, us := range []*users{a, b} {
			us.tick(time.Now(), ignore)
			usage{us}.Merge(told[0])
			if got := us.used("alice"); got != 0 {
				t.Errorf("in the next period: got %d bytes, want 0", got)
			}
			for e := range (usage{us}).All() {
				t.Errorf("in the next period: got %+v", e)
			}
		}
	})
}

// TestUsageClock sets the clock back: a later count takes the place of an earlier one
// all the same.
func TestUsageClock(t *testing.T) {
	us, _ := fresh(Options{QuotaPerUser: 1000}, "a")
	_, m := open(t, us, "alice")
	var last store.Entry
	now := time.Now()
	for range 5 {
		_, _ = m.Take(1, 0)
		us.tick(now, func(e store.Entry) {
			if !e.Newer(last) {
				t.Errorf("got an entry of %s after one of %s", e.At, last.At)
			}
			last = e
		})
		now = now.Add(-time.Millisecond)
	}
	if string(last.Value) != "5" {
		t.Errorf("got %s, want 5", last.Value)
	}
}

// TestUsageOtherMonth sets the clock to another month and back, as on a machine that
// starts without the time: what was counted before counts again, and what was counted
// since is added.
func TestUsageOtherMonth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota")
	o := Options{QuotaPerUser: 1000, Store: place(t, "file:"+path)}
	p := policy(t, coretest.Env(t), o)
	stop := run(t, p)
	await(t, "its beginning", func() bool { return p.users.link.Load() != nil })
	now := time.Now()
	move := func(n int) { // nothing here but the ticks reads a clock
		p.users.known("alice", now).own.Add(int64(n))
	}
	move(300)
	p.tick(t.Context(), now)
	await(t, "the entry in the store", func() bool {
		found := false
		err := p.link.store.Load(t.Context(), p.users.prefix, func(e store.Entry) { found = found || string(e.Value) == "300" })
		return found && err == nil
	})
	p.tick(t.Context(), now.AddDate(0, -2, 0))
	move(50)
	p.tick(t.Context(), now.AddDate(0, -2, 0))
	if got := p.users.used("alice"); got != 50 {
		t.Errorf("in the other month: got %d bytes, want 50", got)
	}
	p.users.mu.Lock()
	p.users.turn(now)
	p.users.mu.Unlock()
	move(7)
	p.tick(t.Context(), now)
	if got := p.users.used("alice"); got != 307 {
		t.Errorf("back again: got %d bytes, want 307", got)
	}
	stop()
	again := policy(t, coretest.Env(t), o)
	if got := again.users.used("alice"); got != 307 {
		t.Errorf("after a restart: got %d bytes, want 307", got)
	}
}

// known returns a user.
func (us *users) known(name string, now time.Time) *user {
	us.mu.Lock()
	defer us.mu.Unlock()
	return us.user(name, now)
}

// TestUsageBounded has more nodes than are known count, and a long name.
func TestUsageBounded(t *testing.T) {
	us, _ := fresh(Options{QuotaPerUser: 1 << 40}, "a")
	e := func(node, user, value string) store.Entry {
		return store.Entry{Key: "limit/test/" + us.begins.Format(time.DateOnly) + "/" + node + "/" + user, Value: []byte(value), At: time.Now()}
	}
	for n := range maxNodes + 100 {
		usage{us}.Merge(e(fmt.Sprint(n), "alice", "1"))
	}
	if got := us.used("alice"); got != maxNodes {
		t.Errorf("got %d bytes, want %d", got, maxNodes)
	}
	for range 10 {
		usage{us}.Merge(e("1", "bob", "4611686018427387903"))
		usage{us}.Merge(e("2", "bob", "4611686018427387903"))
	}
	if got := us.used("bob"); got < 0 {
		t.Errorf("got %d bytes", got)
	}
	_, m := open(t, us, strings.Repeat("n", 600))
	_, _ = m.Take(1, 1)
	us.tick(time.Now(), func(e store.Entry) { t.Errorf("got %+v, which is too long", e) })
}

// FuzzParseCount reads arbitrary entries.
func FuzzParseCount(f *testing.F) {
	f.Add("2026-11-01/node/alice", []byte("123"))
	f.Add("2026-11-01/node/a/b", []byte("0"))
	f.Add("2026-11-01/node/", []byte("4611686018427387903"))
	f.Add("2026-11-01//alice", []byte("1"))
	f.Add("2026-13-01/node/alice", []byte("1"))
	f.Add("node", []byte("1"))
	f.Add("2026-11-01/node/alice", []byte("-1"))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		c, ok := parseCount(key, value)
		if !ok {
			return
		}
		if c.period+"/"+c.node+"/"+c.user != key || c.bytes < 0 || c.node == "" || strings.Contains(c.node, "/") {
			t.Errorf("%q, %q: got %+v", key, value, c)
		}
	})
}
