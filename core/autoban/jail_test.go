package autoban

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

var (
	one = netip.MustParsePrefix("192.0.2.1/32")
	two = netip.MustParsePrefix("2001:db8:1:2::/64")
)

func testRules() Rules {
	return Rules{Count: 3, Window: 10 * time.Minute, Duration: 10 * time.Minute, MaxDuration: time.Hour}
}

// A line without a time counts at the time when it is read.
func TestJail(t *testing.T) {
	type step struct {
		after  time.Duration
		client netip.Prefix
		ban    time.Duration // or 0
		took   time.Duration
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"three", []step{{0, one, 0, 0}, {time.Second, one, 0, 0}, {time.Minute, one, 10 * time.Minute, 61 * time.Second}}},
		{"of two clients", []step{{0, one, 0, 0}, {0, two, 0, 0}, {0, one, 0, 0}, {0, two, 0, 0}, {0, two, 10 * time.Minute, 0}, {0, one, 10 * time.Minute, 0}}},
		{"outside the window", []step{{0, one, 0, 0}, {0, one, 0, 0}, {10 * time.Minute, one, 0, 0}, {0, one, 0, 0}, {0, one, 10 * time.Minute, 0}}},
		{"a window that slides", []step{{0, one, 0, 0}, {6 * time.Minute, one, 0, 0}, {6 * time.Minute, one, 0, 0}, {3 * time.Minute, one, 10 * time.Minute, 9 * time.Minute}}},
		{"banned already", []step{{0, one, 0, 0}, {0, one, 0, 0}, {0, one, 10 * time.Minute, 0}, {0, one, 0, 0}, {time.Minute, one, 0, 0}, {0, one, 0, 0}, {0, one, 0, 0}}},
		{"again, twice as long, up to the most", []step{
			{0, one, 0, 0}, {0, one, 0, 0}, {0, one, 10 * time.Minute, 0},
			{10 * time.Minute, one, 0, 0}, {0, one, 0, 0}, {0, one, 20 * time.Minute, 0},
			{20 * time.Minute, one, 0, 0}, {0, one, 0, 0}, {0, one, 40 * time.Minute, 0},
			{40 * time.Minute, one, 0, 0}, {0, one, 0, 0}, {0, one, time.Hour, 0},
			{time.Hour, one, 0, 0}, {0, one, 0, 0}, {0, one, time.Hour, 0},
			{3 * time.Hour, one, 0, 0}, {0, one, 0, 0}, {0, one, 10 * time.Minute, 0}, // forgotten
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := NewJail(testRules())
				for i, s := range tc.steps {
					time.Sleep(s.after)
					b, banned := j.Add(Failure{Client: s.client}, time.Now())
					if banned != (s.ban > 0) || banned && (b != Ban{s.client, s.ban, 3, s.took}) {
						t.Errorf("step %d: got %+v, %t, want %s after %s", i, b, banned, s.ban, s.took)
					}
				}
			})
		})
	}
}

// Ten minor failures count as one.
func TestJailMinor(t *testing.T) {
	j, now := NewJail(testRules()), time.Now()
	minor := Failure{Client: one, Minor: true}
	for n := range 29 {
		if _, banned := j.Add(minor, now); banned {
			t.Fatalf("banned after %d minor failures, want after 30", n+1)
		}
	}
	if b, banned := j.Add(minor, now); !banned || b.Failures != 3 {
		t.Errorf("got %+v, %t, want a ban for 3 failures", b, banned)
	}
	for range 9 { // those of before the ban do not count after it
		if _, banned := j.Add(minor, now.Add(time.Hour)); banned {
			t.Fatal("banned after less than ten minor failures")
		}
	}
	for n, want := range []bool{false, false, true} {
		if _, banned := j.Add(Failure{Client: one}, now.Add(time.Hour)); banned != want {
			t.Errorf("failure %d: got a ban %t, want %t", n+1, banned, want)
		}
	}
}

// A line with a time counts at that time; a ban begins at the current time.
func TestJailOwnTimes(t *testing.T) {
	now := time.Now()
	old := now.Add(-72 * time.Hour)
	for _, tc := range []struct {
		name   string
		at     []time.Duration // after old
		took   time.Duration
		banned bool
	}{
		{"in the window", []time.Duration{0, time.Minute, 2 * time.Minute}, 2 * time.Minute, true},
		{"slow", []time.Duration{0, 6 * time.Minute, 12 * time.Minute}, 0, false},
		{"backwards", []time.Duration{2 * time.Minute, time.Minute, 0}, 2 * time.Minute, true},
		{"a clock that was set back", []time.Duration{2 * time.Hour, 2 * time.Hour, 0}, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := NewJail(testRules())
			var b Ban
			var banned bool
			for _, at := range tc.at {
				b, banned = j.Add(Failure{At: old.Add(at), Client: one}, now)
			}
			if banned != tc.banned || b.Took != tc.took {
				t.Errorf("got %+v, %t, want %t, took %s", b, banned, tc.banned, tc.took)
			}
			if want := 10 * time.Minute; banned && b.Duration != want {
				t.Errorf("got a ban of %s, want %s", b.Duration, want)
			}
		})
	}
}

func TestJailExempts(t *testing.T) {
	rules := testRules()
	rules.Count = 1
	rules.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.0.2.0/24")}
	for client, want := range map[string]bool{
		"192.0.2.1/32": false, "192.0.3.1/32": true, "127.0.0.1/32": false, "::/64": false, "2001:db8::/64": true,
		"0.0.0.0/32": false, "224.0.0.1/32": false, "ff02::/64": false, "fe80::/64": false, "169.254.1.1/32": false, "10.0.0.1/32": true,
	} {
		if _, got := NewJail(rules).Add(Failure{Client: netip.MustParsePrefix(client)}, time.Now()); got != want {
			t.Errorf("%s: got banned %t, want %t", client, got, want)
		}
	}
}

// The number of remembered clients is limited, and the clients that failed last are kept.
func TestJailBound(t *testing.T) {
	j, now := NewJail(testRules()), time.Now()
	at := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	for i := range MaxClients + 100 {
		j.Add(Failure{Client: at(i)}, now)
	}
	if got := j.records.Len(); got != MaxClients {
		t.Errorf("got %d clients, want %d", got, MaxClients)
	}
	for i, want := range map[int]bool{0: false, MaxClients + 99: true} {
		j.Add(Failure{Client: at(i)}, now)
		if _, got := j.Add(Failure{Client: at(i)}, now); got != want {
			t.Errorf("client %d: got banned %t after two more, want %t", i, got, want)
		}
	}
}
