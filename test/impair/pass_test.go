package impair

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// gap is the time between two datagrams.
const gap = time.Millisecond

// arrival is a datagram from a lane, and the time since the first put.
type arrival struct {
	data string
	at   time.Duration
}

// number returns the number of the datagram in a, if it is intact, and its time in transit.
func (a arrival) number() int         { return int(binary.BigEndian.Uint32([]byte(a.data))) }
func (a arrival) took() time.Duration { return a.at - time.Duration(a.number())*gap }

func numbered(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) }

// passed puts n datagrams into a lane, in fake time, and returns the datagrams that come out.
func passed(t *testing.T, d PacketDirection, seed uint64, n int) (got []arrival, kept *tally) {
	t.Helper()
	kept = &tally{}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := newLane(d, kept, rand.New(rand.NewPCG(seed, 0)), func(p []byte) error {
			got = append(got, arrival{string(p), time.Since(start)})
			return nil
		})
		done, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			l.run(done)
		}()
		for i := range n {
			l.put(numbered(i))
			time.Sleep(gap)
		}
		time.Sleep(d.Delay + d.Jitter + l.Hold)
		close(done)
		<-over
	})
	return got, kept
}

func TestPassOrder(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    PacketDirection
		n    int
		want []int
	}{
		{"nothing", PacketDirection{}, 4, []int{0, 1, 2, 3}},
		{"delay", PacketDirection{Delay: 10 * gap}, 4, []int{0, 1, 2, 3}},
		{"duplicate", PacketDirection{Duplicate: 1}, 3, []int{0, 0, 1, 1, 2, 2}},
		{"reorder", PacketDirection{Reorder: 1}, 4, []int{1, 0, 3, 2}},
		{"reorder, and the last alone", PacketDirection{Reorder: 1}, 3, []int{1, 0, 2}},
		{"reorder and delay", PacketDirection{Reorder: 1, Delay: 10 * gap}, 4, []int{1, 0, 3, 2}},
		{"reorder and duplicate", PacketDirection{Reorder: 1, Duplicate: 1}, 4, []int{1, 1, 0, 0, 3, 3, 2, 2}},
		{"hold over before the next", PacketDirection{Reorder: 1, Hold: gap / 2}, 4, []int{0, 1, 2, 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			arrivals, _ := passed(t, tc.d, 1, tc.n)
			var got []int
			for _, a := range arrivals {
				got = append(got, a.number())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestPassTimes(t *testing.T) {
	for _, tc := range []struct {
		name     string
		d        PacketDirection
		n        int
		min, max time.Duration // exact limits of the time in transit
	}{
		{"at once", PacketDirection{}, 9, 0, 0},
		{"delay", PacketDirection{Delay: 5 * gap / 2}, 9, 5 * gap / 2, 5 * gap / 2},
		{"held until the next", PacketDirection{Reorder: 1}, 8, 0, gap},
		{"held and delayed", PacketDirection{Reorder: 1, Delay: 3 * gap}, 8, 3 * gap, 4 * gap},
		{"the last is held", PacketDirection{Reorder: 1}, 1, defaultHold, defaultHold},
		{"the last is held and delayed", PacketDirection{Reorder: 1, Delay: gap, Hold: 9 * gap}, 1, 10 * gap, 10 * gap},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _ := passed(t, tc.d, 1, tc.n)
			if shortest, longest := extremes(got); len(got) != tc.n || shortest != tc.min || longest != tc.max {
				t.Errorf("got %d datagrams in %v to %v, want %d in %v to %v", len(got), shortest, longest, tc.n, tc.min, tc.max)
			}
		})
	}
}

func extremes(got []arrival) (shortest, longest time.Duration) {
	shortest = time.Hour
	for _, a := range got {
		shortest, longest = min(shortest, a.took()), max(longest, a.took())
	}
	return shortest, longest
}

func TestPassJitter(t *testing.T) {
	const n, delay, jitter = 2000, 5 * gap, 3 * gap
	got, _ := passed(t, PacketDirection{Delay: delay, Jitter: jitter}, 1, n)
	if shortest, longest := extremes(got); shortest < delay || shortest > delay+jitter/10 || longest > delay+jitter || longest < delay+jitter*9/10 {
		t.Errorf("got ways of %v to %v, want about %v to %v", shortest, longest, delay, delay+jitter)
	}
	if late := overtaken(got); late < n/10 || late > n*9/10 {
		t.Errorf("got %d of %d overtaken, want many", late, n)
	}
	slices.SortFunc(got, func(a, b arrival) int { return a.number() - b.number() })
	for i, a := range got {
		if len(got) != n || a.number() != i {
			t.Fatalf("got %d datagrams, number %d in place %d, want each of %d once", len(got), a.number(), i, n)
		}
	}
}

// overtaken counts the datagrams that arrive directly after a later one.
func overtaken(got []arrival) (n int) {
	for i := range got[1:] {
		if got[i+1].number() < got[i].number() {
			n++
		}
	}
	return n
}

// Each disturbance affects its share of datagrams, and no other disturbance occurs.
func TestPassShares(t *testing.T) {
	const n = 2000
	for _, tc := range []struct {
		name      string
		d         PacketDirection
		count     func(Counts) int
		low, high int
	}{
		{"loss", PacketDirection{Loss: 0.3}, func(c Counts) int { return c.Lost }, 500, 700},
		{"duplicate", PacketDirection{Duplicate: 0.3}, func(c Counts) int { return c.Duplicated }, 500, 700},
		{"corrupt", PacketDirection{Corrupt: 0.3}, func(c Counts) int { return c.Corrupted }, 500, 700},
		{"reorder", PacketDirection{Reorder: 0.3}, func(c Counts) int { return c.Held }, 380, 540}, // 0.3 of those behind none that is held
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, kept := passed(t, tc.d, 1, n)
			counts := kept.snapshot()
			if c := tc.count(counts); c < tc.low || c > tc.high {
				t.Errorf("got %d, want %d to %d", c, tc.low, tc.high)
			}
			want := Counts{Came: n, Out: len(got), Lost: n - numbers(got), Duplicated: len(got) - numbers(got)}
			if tc.d.Corrupt > 0 { // then positions identify datagrams, not numbers
				want.Lost, want.Duplicated, want.Corrupted = 0, 0, corrupted(t, got)
			} else {
				want.Held = overtaken(got)
			}
			if counts != want {
				t.Errorf("got %+v, want %+v as came out", counts, want)
			}
		})
	}
}

// numbers returns how many different datagrams there are.
func numbers(got []arrival) int {
	seen := map[int]bool{}
	for _, a := range got {
		seen[a.number()] = true
	}
	return len(seen)
}

// corrupted counts the datagrams that differ from the original by one bit.
func corrupted(t *testing.T, got []arrival) (n int) {
	t.Helper()
	for i, a := range got {
		switch bits := differentBits(a.data, string(numbered(i))); bits {
		case 0:
		case 1:
			n++
		default:
			t.Errorf("datagram %d: got %d bits flipped, want 1", i, bits)
		}
	}
	return n
}

// The same seed causes the same disturbances, with all of them combined, and the record contains
// the datagrams that were sent.
func TestPassSeed(t *testing.T) {
	all := PacketDirection{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Corrupt: 0.1, Delay: gap, Jitter: 5 * gap, Record: true}
	first, kept := passed(t, all, 1, 500)
	counts := kept.snapshot()
	if again, k := passed(t, all, 1, 500); !slices.Equal(first, again) || k.snapshot() != counts {
		t.Errorf("the same seed: got %+v, want %+v and the same datagrams", k.snapshot(), counts)
	}
	if other, k := passed(t, all, 2, 500); slices.Equal(first, other) {
		t.Errorf("another seed: got the same datagrams, %+v", k.snapshot())
	}
	if want := counts.Came - counts.Lost + counts.Duplicated; counts.Out != want || len(first) != want {
		t.Errorf("got %d out and %d datagrams, want %d", counts.Out, len(first), want)
	}
	record := kept.recorded()
	if !slices.EqualFunc(first, record, func(a arrival, p []byte) bool { return a.data == string(p) }) {
		t.Errorf("got %d datagrams recorded, want the %d that came out (or they differ)", len(record), len(first))
	}
}
