// Package storetest is the conformance kit for store.Store.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/policy/store"
)

// patience bounds what should happen at once; tests that pass don't wait for it.
const patience = 20 * time.Second

// Run checks a store. newStore returns two handles of one empty store, as two nodes
// have them; the same handle twice if the store can't be shared.
func Run(t *testing.T, newStore func(t *testing.T) (here, there store.Store)) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, k *kit)
	}{
		{"put and load", putLoad},
		{"the newer one stays", newerStays},
		{"taken back", takenBack},
		{"prefixes", prefixes},
		{"any bytes", anyBytes},
		{"bad entries", badEntries},
		{"expiry", expiry},
		{"claim", claim},
		{"claim at once", claimAtOnce},
		{"watch", watch},
		{"watch ends", watchEnds},
		{"at once", atOnce},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &kit{T: t, began: time.Now()}
			k.here, k.there = newStore(t)
			tc.run(t, k)
		})
	}
}

// kit is one case with its store.
type kit struct {
	*testing.T
	here, there store.Store
	began       time.Time
}

// entry returns an entry that is n seconds old and lasts.
func (k *kit) entry(key, value string, n int) store.Entry {
	at := k.began.Add(-time.Duration(n) * time.Second)
	return store.Entry{Key: key, Value: []byte(value), At: at, Until: k.began.Add(time.Hour)}
}

func (k *kit) put(s store.Store, es ...store.Entry) {
	k.Helper()
	for _, e := range es {
		if err := s.Put(k.Context(), e); err != nil {
			k.Fatalf("put %q: %v", e.Key, err)
		}
	}
}

// load returns what is under a prefix, by keys.
func load(t testing.TB, s store.Store, prefix string) map[string]store.Entry {
	t.Helper()
	all := map[string]store.Entry{}
	if err := s.Load(t.Context(), prefix, func(e store.Entry) {
		e.Value = bytes.Clone(e.Value)
		all[e.Key] = e
	}); err != nil {
		t.Fatalf("load %q: %v", prefix, err)
	}
	return all
}

// has checks that the store has exactly these under a prefix, from both sides.
func (k *kit) has(prefix string, want ...store.Entry) {
	k.Helper()
	for _, s := range []store.Store{k.here, k.there} {
		got := load(k, s, prefix)
		if len(got) != len(want) {
			k.Errorf("under %q: got %d entries, want %d: %v", prefix, len(got), len(want), got)
		}
		for _, e := range want {
			if g, ok := got[e.Key]; !ok || !same(g, e) {
				k.Errorf("got %+v, want %+v", g, e)
			}
		}
	}
}

// same reports whether two entries are alike. A store may cut the end to
// milliseconds.
func same(a, b store.Entry) bool {
	d := a.Until.Sub(b.Until).Abs()
	return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && a.At.Equal(b.At) && d < time.Millisecond
}

func putLoad(_ *testing.T, k *kit) {
	k.has("")
	a, b := k.entry("a", "1", 0), k.entry("b", "2", 5)
	k.put(k.here, a)
	k.put(k.there, b)
	k.has("", a, b)
}

func newerStays(_ *testing.T, k *kit) {
	old, young := k.entry("k", "old", 10), k.entry("k", "young", 5)
	young.At = old.At.Add(1) // a nanosecond
	k.put(k.here, old)
	k.put(k.there, young)
	k.has("", young)
	k.put(k.here, old)
	k.has("", young)
	other := young
	other.Value = []byte("of the same instant")
	k.put(k.here, other)
	k.has("", young)
}

func takenBack(_ *testing.T, k *kit) {
	e, back := k.entry("k", "value", 10), k.entry("k", "", 5)
	k.put(k.here, e, back)
	k.has("", back)
	k.put(k.there, e)
	k.has("", back)
	again := k.entry("k", "value", 1)
	k.put(k.there, again)
	k.has("", again)
}

func prefixes(_ *testing.T, k *kit) {
	var all []store.Entry
	for _, key := range []string{"ban/1", "ban/2", "bans", "b*n/1", "b?n/1", "b[a]n/1", `b\n/1`, "[a-z]/1", "^/1", "x/ban/1"} {
		all = append(all, k.entry(key, key, 1))
	}
	k.put(k.here, all...)
	k.has("", all...)
	k.has("ban/", all[0], all[1])
	k.has("b*", all[3])
	k.has("b?", all[4])
	k.has("b[a]", all[5])
	k.has(`b\`, all[6])
	k.has("[a-z]", all[7])
	k.has("^", all[8])
	k.has("ban/1", all[0])
	k.has("none")
}

func anyBytes(_ *testing.T, k *kit) {
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	long := strings.Repeat("k", store.MaxKey)
	all := []store.Entry{
		k.entry("\x00", string(binary), 1), k.entry(string(binary), "\n\r\x00", 1), k.entry("a\nb", "line feed", 1),
		k.entry(long, strings.Repeat("\xff", store.MaxValue), 1), k.entry(long[1:], "a byte less", 1),
	}
	changes := k.watch("")
	k.put(k.here, all...)
	k.has("", all...)
	if k.shared() {
		for range all {
			<-changes.came
		}
		changes.has(all...)
	}
}

func badEntries(t *testing.T, k *kit) {
	good := k.entry("k", "v", 0)
	for name, change := range map[string]func(*store.Entry){
		"no key":     func(e *store.Entry) { e.Key = "" },
		"long key":   func(e *store.Entry) { e.Key = strings.Repeat("k", store.MaxKey+1) },
		"long value": func(e *store.Entry) { e.Value = make([]byte, store.MaxValue+1) },
		"no time":    func(e *store.Entry) { e.At = time.Time{} },
		"no end":     func(e *store.Entry) { e.Until = time.Time{} },
		"1969":       func(e *store.Entry) { e.At = time.Unix(-1, 0) },
		"year 3000":  func(e *store.Entry) { e.Until = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		e := good
		change(&e)
		if err := k.here.Put(t.Context(), e); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := k.here.Claim(t.Context(), "", good.Until); err == nil {
		t.Error("a claim of no key: got no error")
	}
	k.has("")
}

func expiry(t *testing.T, k *kit) {
	gone := k.entry("gone", "1", 10)
	gone.Until = k.began.Add(-time.Second)
	k.put(k.here, gone)
	soon, later := k.entry("soon", "2", 10), k.entry("later", "3", 10)
	soon.Until = time.Now().Add(50 * time.Millisecond)
	k.put(k.here, soon, later)
	await(t, "the end of an entry", func() bool { return len(load(t, k.there, "")) == 1 })
	k.has("", later)
	again := k.entry("soon", "older than what is over", 20)
	k.put(k.there, again)
	k.has("", later, again)
}

// shared reports whether two nodes can have the store.
func (k *kit) shared() bool { return k.here != k.there }

// await waits for what time or another goroutine does.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s did not come in %s", what, patience)
		}
	}
}

func claim(t *testing.T, k *kit) {
	until := time.Now().Add(100 * time.Millisecond)
	for _, tc := range []struct {
		s    store.Store
		key  string
		want bool
	}{{k.here, "a", true}, {k.here, "a", false}, {k.there, "a", false}, {k.there, "b", true}, {k.here, "b", false}} {
		if free, err := tc.s.Claim(t.Context(), tc.key, until); free != tc.want || err != nil {
			t.Errorf("claim %q: got %t, %v, want %t", tc.key, free, err, tc.want)
		}
	}
	await(t, "the end of the claims", func() bool {
		free, err := k.there.Claim(t.Context(), "a", time.Now().Add(time.Hour))
		if free && time.Now().Before(until.Add(-time.Millisecond)) {
			t.Error("the key is free too early")
		}
		return free && err == nil
	})
}

func claimAtOnce(t *testing.T, k *kit) {
	var won atomic.Int64
	var all sync.WaitGroup
	const keys, claimers = 20, 16
	for n := range claimers {
		s := []store.Store{k.here, k.there}[n%2]
		all.Go(func() {
			for i := range keys {
				free, err := s.Claim(t.Context(), fmt.Sprintf("claim/%d", i), time.Now().Add(time.Hour))
				if err != nil {
					t.Error(err)
				}
				if free {
					won.Add(1)
				}
			}
		})
	}
	all.Wait()
	if won.Load() != keys {
		t.Errorf("got %d winners, want one for each of %d keys", won.Load(), keys)
	}
}

// atOnce puts, loads and watches from many goroutines.
func atOnce(t *testing.T, k *kit) {
	changes := k.watch("at/")
	const writers, each = 8, 50
	ctx, cancel := context.WithCancel(t.Context())
	var writing, reading sync.WaitGroup
	for n := range 2 {
		s := []store.Store{k.here, k.there}[n]
		reading.Go(func() {
			for ctx.Err() == nil {
				load(t, s, "at/")
			}
		})
	}
	for n := range writers {
		s := []store.Store{k.here, k.there}[n%2]
		writing.Go(func() {
			for i := range each {
				k.put(s, k.entry("at/common", fmt.Sprint(n, i), 1+(i*7+n)%each), k.entry(fmt.Sprintf("at/%d/%d", n, i), "x", 1))
			}
		})
	}
	writing.Wait()
	cancel()
	reading.Wait()
	got := load(t, k.there, "at/")
	if len(got) != writers*each+1 {
		t.Errorf("got %d entries, want %d", len(got), writers*each+1)
	}
	if want := k.entry("", "", 1).At; !got["at/common"].At.Equal(want) {
		t.Errorf("the common key is of %s, want the youngest, of %s", got["at/common"].At, want)
	}
	if k.shared() {
		await(t, "the changes", func() bool { return len(changes.all()) == len(got) })
	}
}
