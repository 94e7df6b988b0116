package replay_test

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/replay"
)

func salt(n int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 24), uint64(n)) }

// The set contains at least the last size salts and at most twice as many.
func TestDigestsHorizon(t *testing.T) {
	const size = 5000
	d := replay.NewDigests(size)
	for i := range 7*size + 13 {
		if !d.Add(salt(i)) {
			t.Fatalf("salt %d counts as an old one", i)
		}
		if n := d.Len(); n > 2*size {
			t.Fatalf("%d are remembered, want at most %d", n, 2*size)
		}
	}
	for i := 6*size + 13; i < 7*size+13; i++ {
		if d.Add(salt(i)) {
			t.Fatalf("salt %d was forgotten", i)
		}
	}
	if !d.Add(salt(0)) {
		t.Error("the first salt is still known: the set is not bounded")
	}
}

// Of equal concurrent salts one is new.
func TestDigestsConcurrent(t *testing.T) {
	d := replay.NewDigests(1 << 12)
	var all sync.WaitGroup
	var mu sync.Mutex
	fresh := map[int]int{}
	for range 4 {
		all.Go(func() {
			for i := range 2000 {
				if d.Add(salt(i)) {
					mu.Lock()
					fresh[i]++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	for i, n := range fresh {
		if n != 1 {
			t.Errorf("salt %d was new %d times", i, n)
		}
	}
	if len(fresh) != 2000 {
		t.Errorf("got %d new salts, want 2000", len(fresh))
	}
}

func TestDigestsLengths(t *testing.T) {
	d := replay.NewDigests(10)
	for _, s := range [][]byte{nil, {0}, {0, 0}, {1}} {
		if !d.Add(s) {
			t.Errorf("salt %x counts as another", s)
		}
		if d.Add(s) {
			t.Errorf("salt %x was forgotten", s)
		}
	}
}

func BenchmarkDigests(b *testing.B) {
	d := replay.NewDigests(1 << 18)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.Add(salt(i))
	}
}
