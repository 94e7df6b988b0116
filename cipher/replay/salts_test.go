package replay

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
)

// salt returns the i-th of many salts.
func salt(i int) []byte {
	b := make([]byte, MaxSalt)
	binary.BigEndian.PutUint64(b, uint64(i))
	return b
}

func TestAdd(t *testing.T) {
	s := NewSalts(4)
	for _, tc := range []struct {
		name string
		salt string
		want bool
	}{
		{"new", "0123456789abcdef", true},
		{"again", "0123456789abcdef", false},
		{"other", "0123456789abcdeF", true},
		{"other again", "0123456789abcdeF", false},
		{"longer", "0123456789abcdef0123456789abcdef", true},
		{"longer again", "0123456789abcdef0123456789abcdef", false},
	} {
		if got := s.Add([]byte(tc.salt)); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.name, got, tc.want)
		}
	}
	if s.Len() != 3 {
		t.Errorf("got %d salts, want 3", s.Len())
	}
}

// TestAddKeepsNone checks that the set does not use the caller's memory.
func TestAddKeepsNone(t *testing.T) {
	s, b := NewSalts(4), salt(1)
	s.Add(b)
	clear(b)
	if !s.Add(b) || s.Add(salt(1)) {
		t.Error("the set changed with the caller's memory")
	}
}

// TestGenerations checks at each step of a long run that the last size salts are
// remembered, and never more than twice as many.
func TestGenerations(t *testing.T) {
	for _, size := range []int{1, 2, 3, 10} {
		s := NewSalts(size)
		for i := range 6 * size {
			if !s.Add(salt(i)) {
				t.Fatalf("size %d: salt %d counts as seen", size, i)
			}
			for j := max(0, i-size+1); j <= i; j++ {
				if s.Add(salt(j)) {
					t.Fatalf("size %d: salt %d was forgotten after salt %d", size, j, i)
				}
			}
			if n := s.Len(); n > 2*size {
				t.Fatalf("size %d: got %d salts, want at most %d", size, n, 2*size)
			}
		}
	}
}

// TestForgets checks that memory is bounded by forgetting the oldest.
func TestForgets(t *testing.T) {
	s := NewSalts(3)
	for i := range 9 {
		s.Add(salt(i))
	}
	if !s.Add(salt(0)) {
		t.Error("the oldest salt is still remembered")
	}
}

// TestAddIsAtomic adds each salt from many goroutines: one call returns true.
func TestAddIsAtomic(t *testing.T) {
	s := NewSalts(racedSalts)
	race(t, s.Add, s.Len)
}

// racedSalts is the number of salts that race adds.
const racedSalts = 2000

// race adds each salt from many goroutines: one call returns true.
func race(t *testing.T, add func([]byte) bool, size func() int) {
	t.Helper()
	var all sync.WaitGroup
	var added atomic.Int64
	for range 8 {
		all.Go(func() {
			for i := range racedSalts {
				if add(salt(i)) {
					added.Add(1)
				}
			}
		})
	}
	all.Wait()
	if added.Load() != racedSalts || size() != racedSalts {
		t.Errorf("got %d new salts and %d remembered, want %d", added.Load(), size(), racedSalts)
	}
}

func BenchmarkAdd(b *testing.B) {
	b.ReportAllocs()
	s := NewSalts(1 << 12)
	for i := 0; b.Loop(); i++ {
		s.Add(salt(i))
	}
}
