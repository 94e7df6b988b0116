package inbound

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th throttle
		for i, step := range []struct {
			after   time.Duration
			dropped int
			ok      bool
		}{
			{0, 0, true},
			{time.Second, 0, true},
			{time.Second, 0, false},
			{7 * time.Second, 0, false},
			{time.Second, 2, true}, // ten seconds after the first
			{0, 0, true},
			{0, 0, false},
			{time.Hour, 1, true},
			{0, 0, true},
		} {
			time.Sleep(step.after)
			if dropped, ok := th.allow(2, 10*time.Second); dropped != step.dropped || ok != step.ok {
				t.Errorf("line %d: got %d, %t, want %d, %t", i, dropped, ok, step.dropped, step.ok)
			}
		}
	})
}

func TestThrottles(t *testing.T) {
	a, b, c := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32"), netip.MustParsePrefix("2001:db8::/64")
	synctest.Test(t, func(t *testing.T) {
		var th throttles
		for i, step := range []struct {
			after   time.Duration
			source  netip.Prefix
			dropped int
			ok      bool
		}{
			{0, a, 0, true},
			{0, a, 0, true},
			{0, a, 0, false}, // a has had its two
			{0, b, 0, true},
			{0, b, 0, false}, // all have had three
			{0, c, 0, false},
			{time.Second, c, 1, true}, // c had no room, and was not remembered
			{0, b, 1, true},
			{0, a, 1, true},
			{0, a, 0, false},
			{time.Hour, b, 0, true},
			{0, a, 1, true}, // an hour on, nothing is lost
		} {
			time.Sleep(step.after)
			if dropped, ok := th.allow(step.source, 2, 3, time.Second); dropped != step.dropped || ok != step.ok {
				t.Errorf("line %d: got %d, %t, want %d, %t", i, dropped, ok, step.dropped, step.ok)
			}
		}
	})
}

// Sources without number take neither memory without bound nor all lines, and
// what is dropped is counted once.
func TestThrottlesBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sources, each, most = 3 * maxThrottled, 3, maxThrottled - 1
		var th throttles
		passed, dropped := 0, 0
		for period := range 4 {
			for i := range sources {
				source := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(period), byte(i >> 8), byte(i)}), 32)
				for range each {
					if n, ok := th.allow(source, 1, most, time.Second); ok {
						passed++
						dropped += n
					}
				}
			}
			if len(th.bySource) > maxThrottled {
				t.Fatalf("got %d sources in memory, want at most %d", len(th.bySource), maxThrottled)
			}
			time.Sleep(time.Second)
		}
		if want := 4 * most; passed != want {
			t.Errorf("lines: got %d, want %d", passed, want)
		}
		left := th.dropped
		for _, s := range th.bySource {
			left += s.dropped
		}
		if got, want := passed+dropped+left, 4*sources*each; got != want {
			t.Errorf("lines, told and untold: got %d, want %d", got, want)
		}
	})
}
