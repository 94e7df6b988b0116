package dns

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// known returns an entry for a name.
func known(name string) *entry {
	return &entry{question: question{name, dns.TypeA}, ips: addrs("192.0.2.1"), ttl: time.Hour, until: time.Now().Add(time.Hour)}
}

// TestStoreFlood checks that random names take no more than the bounds, and don't
// push out those that were asked for twice.
func TestStoreFlood(t *testing.T) {
	for _, tc := range []struct{ entries, bytes int }{{4096, 1 << 30}, {1 << 24, 1 << 20}, {100, 1 << 30}} {
		s := newStore("", tc.entries, tc.bytes)
		for range 2 {
			for n := range 50 {
				name := fmt.Sprintf("popular%d.test", n)
				if s.get(question{name, dns.TypeA}) == nil {
					s.put(known(name))
				}
			}
		}
		for range 200_000 {
			s.put(known(fmt.Sprintf("%x.test", rand.Uint64())))
		}
		entries, bytes := s.size()
		if entries > tc.entries || bytes > tc.bytes || entries < 50 {
			t.Errorf("%+v: got %d entries, %d bytes", tc, entries, bytes)
		}
		for n := range 50 {
			if name := fmt.Sprintf("popular%d.test", n); s.get(question{name, dns.TypeA}) == nil {
				t.Errorf("%+v: %s is gone", tc, name)
			}
		}
	}
}

// TestStoreBytes checks that what is counted is what is there, whatever was put,
// used and put again.
func TestStoreBytes(t *testing.T) {
	s := newStore("", 64, 1<<20)
	for range 20_000 {
		name := fmt.Sprintf("n%d.test", rand.IntN(200))
		if rand.IntN(2) == 0 {
			s.get(question{name, dns.TypeA})
			continue
		}
		e := known(name)
		e.ips = addrs("192.0.2.1", "192.0.2.2", "192.0.2.3")[:rand.IntN(4)]
		s.put(e)
	}
	entries, bytes := s.size()
	want := 0
	for _, l := range []*list{s.shards[0].fresh, s.shards[0].proven} {
		for _, e := range l.Values() {
			want += e.size()
		}
	}
	if entries > 64 || bytes != want {
		t.Errorf("got %d entries and %d bytes, want at most 64 and %d", entries, bytes, want)
	}
	if n := s.shards[0].proven.Len(); n > 64/5*4 {
		t.Errorf("got %d proven entries, want at most four fifths of 64", n)
	}
}

// TestStoreOrder checks that of names used once the oldest goes first, and of others
// the one that was not used for the longest.
func TestStoreOrder(t *testing.T) {
	s := newStore("", 4, 1<<20)
	has := func(name string) bool {
		l := &s.shards[0]
		q := question{name, dns.TypeA}
		return l.fresh.Contains(q) || l.proven.Contains(q)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		s.put(known(name))
	}
	s.get(question{"a", dns.TypeA})
	s.put(known("e"))
	for name, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true, "e": true} {
		if has(name) != want {
			t.Errorf("%s: got %t, want %t", name, has(name), want)
		}
	}
	s.limit(1, 1<<20)
	if entries, _ := s.size(); entries != 1 || !has("a") {
		t.Errorf("with room for one: got %d entries, a %t, want a alone", entries, has("a"))
	}
	s.limit(10, 1)
	if entries, bytes := s.size(); entries != 0 || bytes != 0 {
		t.Errorf("with no bytes: got %d entries, %d bytes", entries, bytes)
	}
}
