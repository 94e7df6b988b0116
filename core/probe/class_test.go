package probe

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// at returns a record of a probe that kept its side open and was ended by a FIN
// after some milliseconds.
func at(family Family, size, after int) Record {
	d := time.Duration(after) * time.Millisecond
	return Record{Probe: Probe{Family: family, Size: size, Finish: Open}, Sent: size, End: EndFIN, After: d, Quiet: d}
}

// with returns r with another end.
func (r Record) with(end End) Record {
	r.End = end
	return r
}

func TestOddOnes(t *testing.T) {
	cfg := Config{Wait: 80 * time.Second}
	late := func(n int) Record { return at(Random, n, 60000+n) }
	slow := at(Slow, 66, 62000)
	slow.Quiet = 60 * time.Second
	for _, tc := range []struct {
		name    string
		records []Record
		want    []int
	}{
		{"none", nil, nil},
		{"alike", []Record{late(0), late(1), late(50), at(Replay, 120, 60200)}, nil},
		{"one RST", []Record{late(0), late(1).with(EndRST), late(50)}, []int{1}},
		{"one at once", []Record{late(0), late(1), at(Random, 50, 3)}, []int{2}},
		{"one later", []Record{late(0), late(1), late(2), at(Random, 50, 60800)}, []int{3}},
		{"data", []Record{late(0), late(1), {Probe: Probe{Family: Random, Finish: Open}, End: EndFIN, Data: 1}}, []int{2}},
		{"from the last byte", []Record{late(0), late(1), slow}, nil},
		{"lost connections are ignored", []Record{late(0), late(1), late(2).with(EndLost), late(3).with(EndNever)}, nil},
		{"datagrams are apart", []Record{late(0), late(1), {Probe: Probe{Family: Datagram}, End: EndOpen}}, nil},
	} {
		if got := oddOnes(cfg, tc.records); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestClasses(t *testing.T) {
	cfg := Config{Wait: 80 * time.Second}
	base := bases{Open: 60 * time.Second}
	far := at(Random, 50, 1300)
	far.Connect = 600 * time.Millisecond
	inSending := at(Slow, 66, 60100)
	inSending.Quiet = 20 * time.Millisecond
	for _, tc := range []struct {
		name   string
		record Record
		atOnce bool
		off    bool
	}{
		{"at once", at(Random, 50, 3), true, false},
		{"at once, far away", far, true, false},
		{"in time", at(Random, 50, 60299), false, false},
		{"too early", at(Random, 50, 59600), false, true},
		{"soon, but by a timer", at(Random, 50, 5000), false, true},
		{"the deadline while it sends", inSending, false, false},
		{"open", at(Random, 50, 80000).with(EndOpen), false, false},
	} {
		if c := classOf(cfg, base, tc.record); c.atOnce != tc.atOnce || off(cfg, base, tc.record) != tc.off {
			t.Errorf("%s: got at once %t, off %t, want %t, %t", tc.name, c.atOnce, off(cfg, base, tc.record), tc.atOnce, tc.off)
		}
	}
}

func TestClusters(t *testing.T) {
	cfg := Config{Wait: 80 * time.Second}
	for _, tc := range []struct {
		after []int
		want  string
	}{
		{[]int{60000, 60010, 59990}, "[3]"},
		{[]int{60000, 10000, 60010, 10010}, "[2 2]"},
		{[]int{10000, 20000, 30000}, "[1 1 1]"},
		{[]int{10000, 20000, 30000, 40000}, "[4]"},
	} {
		var records []Record
		for _, ms := range tc.after {
			records = append(records, at(Random, 1, ms))
		}
		var sizes []int
		for _, c := range clusters(cfg, records) {
			sizes = append(sizes, len(c))
		}
		if got := fmt.Sprint(sizes); got != tc.want {
			t.Errorf("%v: got groups of %s, want %s", tc.after, got, tc.want)
		}
	}
}

// The order of two times holds where their difference in nanoseconds does not fit in
// 32 bits.
func TestByAfter(t *testing.T) {
	for _, tc := range []struct{ a, b, want int }{
		{10000, 60000, -1}, {60000, 10000, 1}, {45000, 57000, -1}, {57000, 45000, 1}, {10000, 10010, -1}, {60000, 60000, 0},
	} {
		if got := byAfter(at(Random, 1, tc.a), at(Random, 1, tc.b)); got != tc.want {
			t.Errorf("%d ms and %d ms: got %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestRanges(t *testing.T) {
	all := []int{0, 1, 7, 8, 9, 43, 44, 100, 221}
	for _, tc := range []struct {
		sizes []int
		want  string
	}{
		{[]int{0}, "0"},
		{all, "0 to 221"},
		{[]int{0, 1, 7}, "0 to 7"},
		{[]int{1, 8, 9, 221}, "1, 8 to 9, 221"},
		{[]int{0, 7, 9, 44, 221}, "0, 7, 9, 44, 221"},
	} {
		if got := ranges(tc.sizes, all); got != tc.want {
			t.Errorf("%v: got %q, want %q", tc.sizes, got, tc.want)
		}
	}
	many := []int{0, 2, 4, 6, 8, 10}
	if got, want := ranges(many, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), "0, 2, 4, 6, others"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlans(t *testing.T) {
	full, err := NewPlan(Config{Wait: 80 * time.Second, Parallel: 16})
	if err != nil {
		t.Fatal(err)
	}
	quick, err := NewPlan(Config{Wait: 10 * time.Second, Parallel: 16, Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	if quick.Probes() >= full.Probes()/2 || quick.Bytes() >= full.Bytes() || quick.Longest() >= full.Longest() {
		t.Errorf("got a quick plan of %d probes and %d bytes, and one of %d and %d", quick.Probes(), quick.Bytes(), full.Probes(), full.Bytes())
	}
	if got, most := full.Bytes(), 1<<20; got > most {
		t.Errorf("got %d bytes, want at most %d", got, most)
	}
	if got, most := full.Left(0, 0), 5*time.Minute+20*time.Second; got > most {
		t.Errorf("takes %s, want at most %s", got, most)
	}
	if got, most := full.Left(0, time.Second), 4*time.Second; got > most {
		t.Errorf("takes %s for a server that ends after a second, want at most %s", got, most)
	}
	if got := full.Left(full.Probes(), 0); got != 0 {
		t.Errorf("got %s left at the end", got)
	}
	for _, p := range full.probes {
		if b, err := new(material).bytesOf(p); err != nil || len(b) != p.Size {
			t.Errorf("%s %s: got %d bytes, %v, want %d", p.Family, p.Name, len(b), err, p.Size)
		}
	}
}
