package app

import "testing"

func TestPercentFor(t *testing.T) {
	for _, tc := range []struct {
		name string
		live uint64
		want int
	}{
		{"nothing yet", 0, 400},
		{"after start", 2 << 20, 400},
		{"a quarter of the floor", 4 << 20, 300},
		{"half the floor", 8 << 20, 100},
		{"the floor", 16 << 20, 100},
		{"a large heap", 1 << 30, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := percentFor(tc.live); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}
