package replay

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"
)

// windowVector is a sequence of testdata/sliding_window.json.
type windowVector struct {
	Name   string
	Window int
	IDs    []string
	Accept []bool
}

func TestWindowVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/sliding_window.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Vectors []windowVector }
	if err := json.Unmarshal(data, &f); err != nil || len(f.Vectors) == 0 {
		t.Fatalf("got %d vectors, %v", len(f.Vectors), err)
	}
	for _, v := range f.Vectors {
		t.Run(v.Name+", "+strconv.Itoa(v.Window), func(t *testing.T) {
			w := NewWindow(v.Window)
			for i, text := range v.IDs {
				id, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				if has := w.Has(id); has == v.Accept[i] {
					t.Errorf("id %d, the %dth: got Has %t, want %t", id, i, has, !v.Accept[i])
				}
				if got := w.Add(id); got != v.Accept[i] {
					t.Errorf("id %d, the %dth: got %t, want %t", id, i, got, v.Accept[i])
				}
				if !w.Has(id) {
					t.Errorf("id %d, the %dth: not seen after it was added", id, i)
				}
			}
		})
	}
}

// TestWindowBorders checks the oldest accepted number, for sizes around block boundaries and at
// both ends of the range of numbers.
func TestWindowBorders(t *testing.T) {
	for _, size := range []int{1, 2, 63, 64, 65, 127, 128, 129, 2048} {
		for _, high := range []uint64{uint64(size), 1 << 32, math.MaxUint64 - 1, math.MaxUint64} {
			w := NewWindow(size)
			if !w.Add(high) {
				t.Fatalf("size %d: the first, %d, was not taken", size, high)
			}
			oldest := high - uint64(size) + 1
			for id, want := range map[uint64]bool{oldest: size > 1, oldest - 1: false, high: false} {
				if got := w.Add(id); got != want {
					t.Errorf("size %d, highest %d: number %d: got %t, want %t", size, high, id, got, want)
				}
			}
		}
	}
}

// TestWindowJumps fills a window and jumps ahead: no old bit may remain.
func TestWindowJumps(t *testing.T) {
	for _, size := range []int{1, 64, 65, 128, 130} {
		for jump := range uint64(400) {
			w := NewWindow(size)
			for id := range uint64(300) {
				w.Add(id)
			}
			high := 299 + jump + 1
			if !w.Add(high) {
				t.Fatalf("size %d: %d was not taken after 299", size, high)
			}
			for id := high - uint64(size) + 1; id < high; id++ {
				if got, want := w.Has(id), id < 300; got != want {
					t.Fatalf("size %d, from 299 to %d: number %d is seen: %t, want %t", size, high, id, got, want)
				}
			}
		}
	}
}

// TestWindowHasChangesNothing queries numbers far ahead, as forged datagrams do.
func TestWindowHasChangesNothing(t *testing.T) {
	w := NewWindow(64)
	w.Add(10)
	for _, id := range []uint64{11, 1000, math.MaxUint64} {
		if w.Has(id) {
			t.Errorf("number %d counts as seen", id)
		}
	}
	if !w.Add(9) || !w.Add(11) {
		t.Error("Has moved the window")
	}
}

// FuzzWindow compares a Window with an unbounded set.
func FuzzWindow(f *testing.F) {
	f.Add(uint16(64), []byte{0, 1, 2, 3, 2, 1}, uint64(0))
	f.Add(uint16(1), []byte{0, 0, 255, 0, 128}, uint64(math.MaxUint64-300))
	f.Add(uint16(130), []byte{200, 3, 200, 3, 250, 251}, uint64(1<<32))
	f.Fuzz(func(t *testing.T, size uint16, steps []byte, id uint64) {
		n := int(size)%300 + 1
		w := NewWindow(n)
		seen, highest := map[uint64]bool{}, uint64(0)
		for i, step := range steps {
			if i%3 == 2 {
				id -= uint64(step)
			} else {
				id += uint64(step) * uint64(step) / 8
			}
			want := !seen[id] && (id > highest || highest-id < uint64(n))
			if got := w.Add(id); got != want {
				t.Fatalf("size %d, step %d, number %d, highest %d: got %t, want %t", n, i, id, highest, got, want)
			}
			seen[id] = seen[id] || want
			if want {
				highest = max(highest, id)
			}
		}
	})
}

func BenchmarkWindow(b *testing.B) {
	b.ReportAllocs()
	w := NewWindow(2048)
	for id := uint64(0); b.Loop(); id++ {
		w.Has(id)
		w.Add(id)
	}
}
