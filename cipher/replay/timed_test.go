package replay

import (
	"testing"
	"testing/synctest"
	"time"
)

const least = 65 * time.Second

func TestTimedAdd(t *testing.T) {
	now := time.Now()
	s := NewTimed(least)
	for _, tc := range []struct {
		name string
		salt string
		want bool
	}{
		{"new", "0123456789abcdef", true},
		{"again", "0123456789abcdef", false},
		{"other", "0123456789abcdeF", true},
		{"longer", "0123456789abcdef0123456789abcdef", true},
		{"longer again", "0123456789abcdef0123456789abcdef", false},
	} {
		if got := s.Add([]byte(tc.salt), now, now); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.name, got, tc.want)
		}
	}
	if s.Len() != 3 {
		t.Errorf("got %d salts, want 3", s.Len())
	}
	b := salt(1)
	s.Add(b, now, now)
	clear(b)
	if !s.Add(b, now, now) || s.Add(salt(1), now, now) {
		t.Error("the set changed with the caller's memory")
	}
}

// TestTimedKeeps adds a salt each second for minutes, and checks at each step that no salt is
// dropped early, and that the set does not grow.
func TestTimedKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stays = 65 // seconds
		s := NewTimed(least)
		for i := range 400 {
			now := time.Now()
			if !s.Add(salt(i), now, now) {
				t.Fatalf("salt %d counts as seen", i)
			}
			for j := max(0, i-stays+1); j <= i; j++ {
				if s.Add(salt(j), now, now) {
					t.Fatalf("after %d s a salt was forgotten", i-j)
				}
			}
			if n := s.Len(); n > stays+stays/agesPerLeast+2 {
				t.Fatalf("after %d s: got %d salts", i, n)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(2 * least)
		if now := time.Now(); !s.Add(salt(399), now, now) || s.Len() != 1 {
			t.Errorf("got %d salts after a pause, want 1", s.Len())
		}
	})
}

// TestTimedUntil adds a salt that is valid for longer than the minimum time.
func TestTimedUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewTimed(least)
		began := time.Now()
		until := began.Add(3 * least)
		s.Add(salt(1), until, began)
		time.Sleep(3 * least)
		if s.Add(salt(1), until, time.Now()) {
			t.Error("a valid salt was dropped")
		}
		time.Sleep(time.Nanosecond)
		if !s.Add(salt(1), until, time.Now()) {
			t.Error("an expired salt was not dropped")
		}
	})
}

// TestTimedClockSteps simulates steps of the wall clock, which a test can't set: a step
// backwards is a message that stays valid for long, and a step forwards is a message that has
// expired when it arrives.
func TestTimedClockSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewTimed(least)
		began := time.Now()
		s.Add(salt(1), began.Add(time.Hour), began)  // the clock was an hour ahead, and is set back
		s.Add(salt(2), began.Add(-time.Hour), began) // it was an hour behind, and is set forward
		time.Sleep(least - 1)
		if s.Add(salt(2), began, time.Now()) {
			t.Error("a step forwards dropped a salt early")
		}
		time.Sleep(time.Minute)
		if s.Add(salt(1), began, time.Now()) {
			t.Error("a step backwards dropped a salt early")
		}
	})
}

// TestTimedOutOfOrder adds requests whose times are slightly out of order.
func TestTimedOutOfOrder(t *testing.T) {
	s := NewTimed(least)
	now := time.Now()
	for i, off := range []time.Duration{0, 9, 8, 18, 17, 10, 30, -5} {
		at := now.Add(off * time.Second)
		s.Add(salt(i), at, at)
	}
	if s.Len() != 8 {
		t.Fatalf("got %d salts, want 8", s.Len())
	}
	for i := range 8 {
		if s.Add(salt(i), now, now.Add(40*time.Second)) {
			t.Errorf("salt %d was forgotten", i)
		}
	}
}

// TestTimedIsAtomic adds each salt from many goroutines: one call returns true.
func TestTimedIsAtomic(t *testing.T) {
	s := NewTimed(least)
	race(t, func(salt []byte) bool {
		now := time.Now()
		return s.Add(salt, now, now)
	}, s.Len)
}

// BenchmarkTimed adds 1000 salts a second.
func BenchmarkTimed(b *testing.B) {
	b.ReportAllocs()
	s := NewTimed(least)
	now := time.Now()
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Millisecond)
		s.Add(salt(i), now, now)
	}
}
