package match

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// randomName returns a name of few letters, so that names meet.
func randomName(r *rand.Rand) string {
	labels := make([]string, 1+r.IntN(4))
	for i := range labels {
		labels[i] = strings.Repeat(string(rune('a'+r.IntN(3))), 1+r.IntN(2))
	}
	return strings.Join(labels, ".")
}

// TestNames compares sets with maps.
func TestNames(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range 300 {
		var s names
		known := map[string]bool{}
		for range r.IntN(200) {
			name := randomName(r)
			known[name] = true
			if err := s.add([]byte(name)); err != nil {
				t.Fatal(err)
			}
		}
		s.seal()
		if s.len != len(known) {
			t.Fatalf("seed %d, round %d: got %d names, want %d", seed, round, s.len, len(known))
		}
		size := 0
		for name := range known {
			size += 1 + len(name)
		}
		if len(s.arena) != size {
			t.Errorf("seed %d, round %d: got %d bytes of names, want %d", seed, round, len(s.arena), size)
		}
		for range 500 {
			name := randomName(r)
			if got := s.has([]byte(name)); got != known[name] {
				t.Errorf("seed %d, round %d: has %s: got %t, want %t", seed, round, name, got, known[name])
			}
			want, rest := "", name
			for want == "" && rest != "" {
				if known[rest] {
					want = rest
				}
				_, rest, _ = strings.Cut(rest, ".")
			}
			at, ok := s.above([]byte(name))
			if ok != (want != "") || ok && name[at:] != want {
				t.Errorf("seed %d, round %d: above %s: got %q, %t, want %q", seed, round, name, name[at:], ok, want)
			}
		}
	}
}

// A longest name fits, and no part of a label is a name.
func TestNamesEdges(t *testing.T) {
	long := strings.Repeat("abc.", 63) + "a" // 253 bytes
	var s names
	for _, n := range []string{long, "example.org"} {
		if err := s.add([]byte(n)); err != nil {
			t.Fatal(err)
		}
	}
	s.seal()
	for name, want := range map[string]bool{
		long: true, long[4:]: false, "example.org": true, "a.example.org": true, "xexample.org": false, "org": false, "ample.org": false, "": false,
	} {
		if _, got := s.above([]byte(name)); got != want {
			t.Errorf("above %q: got %t, want %t", name, got, want)
		}
	}
	s = names{arena: make([]byte, maxArena-3)}
	if err := s.add([]byte("abc")); err != errTooMany {
		t.Errorf("a name over the bound: got %v, want %v", err, errTooMany)
	}
}
