package app

import (
	"sync"
	"testing"
)

func TestTrimmerDue(t *testing.T) {
	const mib = 1 << 20
	for name, tc := range map[string]struct {
		looks [][2]uint64 // MiB held, collections
		want  int         // looks after which a trim is due, the last one only
	}{
		"after start":                    {[][2]uint64{{12, 1}, {12, 1}}, 0},
		"a little more":                  {[][2]uint64{{12, 1}, {19, 1}}, 0},
		"a burst that is over":           {[][2]uint64{{12, 1}, {220, 9}, {220, 9}}, 1},
		"a burst that goes on":           {[][2]uint64{{12, 1}, {220, 9}, {230, 12}, {210, 15}}, 0},
		"less than before, then a burst": {[][2]uint64{{100, 1}, {20, 2}, {29, 2}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tr := trimmer{held: tc.looks[0][0] * mib, cycles: tc.looks[0][1]}
			due := 0
			for _, l := range tc.looks[1:] {
				if due = 0; tr.due(l[0]*mib, l[1]) {
					due = 1
				}
			}
			if due != tc.want {
				t.Errorf("got %d, want %d", due, tc.want)
			}
		})
	}
}

// TestTrim gives back what pools and garbage held.
func TestTrim(t *testing.T) {
	var tr trimmer
	before, cycles := heldMemory()
	tr.held, tr.cycles = before, cycles
	pool := sync.Pool{New: func() any { return new([1 << 20]byte) }}
	burst := make([]any, 64)
	for i := range burst {
		burst[i] = pool.Get()
		clear(burst[i].(*[1 << 20]byte)[:])
	}
	for _, b := range burst {
		pool.Put(b)
	}
	clear(burst)
	at, _ := heldMemory()
	if at < before+60<<20 {
		t.Fatalf("the burst takes %d bytes more, want 64 MiB", at-before)
	}
	_, tr.cycles = heldMemory() // as if a period had passed
	tr.look()
	if after, _ := heldMemory(); after > before+16<<20 {
		t.Errorf("got %d bytes more than before the burst, want next to none", after-before)
	}
}
