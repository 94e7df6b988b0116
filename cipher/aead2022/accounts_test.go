package aead2022

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// TestAccounts begins, uses, ends and outlives sessions of many users in any order. The
// bound holds, every list and the heap agree, and no user has lost a session to one with
// more.
func TestAccounts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := fresh(t, settings()[0].spec, settings()[0].keys)
	const most, users = 40, 10
	table, now := newSessions(c.spec.Method, c.first, most), noon
	var open []*replies
	for step := range 20_000 {
		now = now.Add(time.Duration(random.IntN(700)) * time.Millisecond)
		switch u := random.IntN(users); {
		case len(open) > 0 && random.IntN(2) == 0:
			i := random.IntN(len(open))
			table.close(open[i])
			open = append(open[:i], open[i+1:]...)
		default:
			owner := &user{psk: c.sole.psk, hash: hash{byte(u)}, block: c.sole.block}
			sent := now.Add(time.Duration(random.IntN(20)-10) * time.Second).Truncate(time.Second)
			r, err := table.add(c, received{sessionID: random.Uint64(), user: owner, sent: sent}, now)
			if err == nil {
				open = append(open, r)
			} else if !errors.Is(err, core.ErrCrowded) {
				t.Fatal(err)
			}
		}
		total, live, largest := 0, 0, 0
		for owner, a := range table.accounts {
			total, live, largest = total+a.size(), live+a.live.Len(), max(largest, a.size())
			if a.owner != owner || table.largest[a.index] != a {
				t.Fatalf("step %d: the heap has lost an account", step)
			}
		}
		if all, on := table.len(); all != total || on != live || all > most || len(table.largest) != len(table.accounts) {
			t.Fatalf("step %d: got %d sessions, %d live, and %d in the heap; want %d, %d and %d", step, all, on, len(table.largest), total, live, len(table.accounts))
		}
		if len(table.largest) > 0 && table.largest[0].size() != largest {
			t.Fatalf("step %d: the first account has %d sessions, the largest has %d", step, table.largest[0].size(), largest)
		}
	}
	for e := table.closed.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*session); s.ended != e || s.replies != nil || table.byID[s.id] != s {
			t.Error("a closed session is out of place")
		}
	}
}
