package aead

import (
	"net/netip"
	"slices"
	"testing"
)

func id(n int) userID { return userID{byte(n), byte(n >> 8)} }

// seen returns the users seen at a client, as numbers.
func seen(r *recents, client string) (all []int) {
	for _, id := range r.at(netip.MustParseAddr(client), nil) {
		all = append(all, int(id[0])|int(id[1])<<8)
	}
	return all
}

func TestRecents(t *testing.T) {
	r := newRecents()
	for _, s := range []struct {
		client string
		user   int
	}{
		{"192.0.2.1", 1}, {"192.0.2.1", 2}, {"192.0.2.1", 3}, {"192.0.2.1", 1},
		{"192.0.2.2", 4}, {"2001:db8::1", 5}, {"2001:db8::2", 6}, {"2001:db8:0:1::1", 7},
	} {
		r.add(netip.MustParseAddr(s.client), id(s.user))
	}
	for client, want := range map[string][]int{
		"192.0.2.1": {1, 3, 2}, "192.0.2.2": {4}, "192.0.2.3": nil,
		"2001:db8::ffff": {6, 5}, "2001:db8:0:1::9": {7},
	} {
		if got := seen(r, client); !slices.Equal(got, want) {
			t.Errorf("%s: got users %v, want %v", client, got, want)
		}
	}
}

// The number of users per address and the number of addresses are limited.
func TestRecentsBounded(t *testing.T) {
	r := newRecents()
	for n := range 3 * maxRecent {
		r.add(netip.MustParseAddr("192.0.2.1"), id(n))
	}
	if got := seen(r, "192.0.2.1"); len(got) != maxRecent || got[0] != 3*maxRecent-1 || got[maxRecent-1] != 2*maxRecent {
		t.Errorf("got users %v, want the last %d", got, maxRecent)
	}
	at := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }
	for n := range maxClients {
		r.add(at(n), id(n))
		if len(r.at(netip.MustParseAddr("192.0.2.1"), nil)) == 0 { // which is in use
			t.Fatal("an address in use was forgotten")
		}
	}
	if got := r.at(at(0), nil); len(got) != 0 || r.clients.Len() != maxClients {
		t.Errorf("got %d addresses and %d users of the oldest, want %d and 0", r.clients.Len(), len(got), maxClients)
	}
}
