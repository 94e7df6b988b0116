package aead

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// spend searches for the datagrams of clients in turn, for ten seconds, with 10 ms a
// search, and returns the time of each client.
func spend(shares *shares, clients ...string) []time.Duration {
	spent := make([]time.Duration, len(clients))
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for i, client := range clients {
			if done := shares.search(netip.MustParseAddr(client)); done != nil {
				time.Sleep(10 * time.Millisecond)
				spent[i] += 10 * time.Millisecond
				done()
			}
		}
	}
	return spent
}

// Datagrams of unknown users get a twentieth of the time, after a first burst, from one
// source as from many.
func TestShares(t *testing.T) {
	for _, clients := range [][]string{
		{"192.0.2.1"},
		{"2001:db8::1"},
		{"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "2001:db9::1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			searched := time.Duration(0)
			for _, one := range spend(newShares(), clients...) {
				searched += one
			}
			if want := 500*time.Millisecond + datagramBurst; searched < want-40*time.Millisecond || searched > want+20*time.Millisecond {
				t.Errorf("%s: searched for %s of 10 s, want about %s", clients, searched, want)
			}
		})
	}
}

// A flood from one address leaves half of the burst to others: to its neighbours a
// quarter of that, to all others all of it.
func TestSharesFlood(t *testing.T) {
	for _, tc := range []struct {
		flood, client string
		want          time.Duration
	}{
		{"192.0.2.1", "198.51.100.1", datagramBurst / 8},
		{"192.0.2.1", "192.0.2.2", datagramBurst / 16},
		{"2001:db8::1", "2001:db9::1", datagramBurst / 8},
		{"2001:db8::1", "2001:db8:0:1::1", datagramBurst / 16},
		{"192.0.2.1", "::ffff:192.0.2.1", -1},
		{"2001:db8::1", "2001:db8::2", -1},
	} {
		synctest.Test(t, func(t *testing.T) {
			shares := newShares()
			spend(shares, tc.flood)
			got := time.Duration(-1)
			for {
				done := shares.search(netip.MustParseAddr(tc.client))
				if done == nil {
					break
				}
				if got < 0 {
					got = 0
				}
				time.Sleep(time.Millisecond)
				got += time.Millisecond
				done()
				if got > time.Second {
					t.Fatalf("%s: no end", tc.client)
				}
			}
			if tc.want < 0 && got > 0 || got < tc.want {
				t.Errorf("after a flood of %s, %s searches for %s at once, want %s or more", tc.flood, tc.client, got, tc.want)
			}
		})
	}
}

// Sources are bounded, and so is the time for likely users.
func TestSharesBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shares := newShares()
		for n := range 3 * maxSources {
			shares.search(netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n), 1}))
		}
		if got := shares.sources.Len(); got != maxSources {
			t.Errorf("got %d sources, want %d", got, maxSources)
		}
		tried := time.Duration(0)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if done := shares.tryLikely(); done != nil {
				time.Sleep(time.Millisecond)
				tried += time.Millisecond
				done()
			}
		}
		if want := 250*time.Millisecond + datagramBurst; tried > want+5*time.Millisecond || tried < want-5*time.Millisecond {
			t.Errorf("tried likely users for %s of 10 s, want %s", tried, want)
		}
	})
}
