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
			owner := &user{psk: c.sole.psk, hash: hash{byte(u)}}
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
	for e := table.barred.Front(); e != nil; e = e.Next() {
		if a := e.Value.(*account); a.barred != e || table.accounts[a.owner] != a {
			t.Error("an account with a floor is out of place")
		}
	}
	for e := table.closed.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*session); s.ended != e || s.replies != nil || table.byID[s.id] != s {
			t.Error("a closed session is out of place")
		}
	}
}

// TestFloorsPass has many users lose all their sessions at the bound: while their datagrams
// are valid, their accounts and records remain; afterwards neither does, though none of them
// comes again. A wall clock that goes back keeps them for as long.
func TestFloorsPass(t *testing.T) {
	c := fresh(t, settings()[0].spec, settings()[0].keys)
	const users = 100
	table, now := newSessions(c.spec.Method, c.first, 1), noon
	add := func(owner int) {
		t.Helper()
		u := &user{psk: c.sole.psk, hash: hash{byte(owner)}}
		r, err := table.add(c, received{sessionID: rand.Uint64(), user: u, sent: now.Truncate(time.Second)}, now)
		if err != nil {
			t.Fatal(err)
		}
		table.close(r)
	}
	expect := func(when string, accounts, records int) {
		t.Helper()
		n := 0
		for _, r := range table.records(everything, now) {
			if r.Kind == packetFloor {
				n++
			}
		}
		if len(table.accounts) != accounts || len(table.largest) != accounts || n != records {
			t.Errorf("%s: got %d accounts, %d in the heap, %d floors noted; want %d, %d and %d", when, len(table.accounts), len(table.largest), n, accounts, accounts, records)
		}
	}
	for u := range users {
		add(u)
	}
	expect("at once", users, users-1)
	now = now.Add(sessionKept - time.Second)
	expect("while datagrams are valid", users, users-1)
	now = now.Add(2 * time.Second)
	expect("afterwards", 0, 0)

	add(1)
	add(2)
	monotonic := now.Add(2 * sessionKept)
	for _, a := range table.accounts {
		a.floor = a.floor.Add(time.Hour) // as a wall clock that has gone back sees it
	}
	now = monotonic
	expect("with the clock back", 1, 1)
	now = now.Add(time.Hour + sessionKept)
	expect("an hour later", 0, 0)
}
