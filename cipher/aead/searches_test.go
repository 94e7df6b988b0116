package aead

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func source(n byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 32) }

// A client address has one search at a time, the number of searches is limited to the
// slots, and a flood from one address delays others by one search.
func TestSearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		searches := newSearches()
		var now, most, ofOne atomic.Int32
		search := func(from netip.Prefix) {
			done := searches.acquire(from, time.Hour, nil)
			defer done()
			most.Store(max(most.Load(), now.Add(1)))
			if from == source(1) {
				if n := ofOne.Add(1); n > 1 {
					t.Errorf("one address has %d searches", n)
				}
				defer ofOne.Add(-1)
			}
			time.Sleep(time.Second)
			now.Add(-1)
		}
		for range 100 {
			go search(source(1))
		}
		synctest.Wait()
		began := time.Now()
		search(source(2))
		if took, most := time.Since(began), 2*time.Second; took > most {
			t.Errorf("the search of another address took %s, want at most %s", took, most)
		}
		for n := range byte(50) {
			go search(source(10 + n))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := int(most.Load()); got > max(1, runtime.GOMAXPROCS(0)/2) {
			t.Errorf("%d searches at once, want half of the processors at most", got)
		}
		if len(searches.queues) > 0 || len(searches.slots) > 0 {
			t.Errorf("%d addresses and %d slots are left, want none", len(searches.queues), len(searches.slots))
		}
	})
}

// A search that waits for too long ends, in either queue, and leaves no state behind.
func TestSearchesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		searches := newSearches()
		var held []func()
		for n := range byte(cap(searches.slots)) {
			held = append(held, searches.acquire(source(n), time.Second, nil))
		}
		for _, from := range []netip.Prefix{source(0), source(99)} {
			began := time.Now()
			if searches.acquire(from, time.Minute, nil) != nil || time.Since(began) != time.Minute {
				t.Errorf("%s: got a slot, or no wait: %s", from, time.Since(began))
			}
		}
		for _, done := range held {
			done()
		}
		if len(searches.queues) > 0 || len(searches.slots) > 0 {
			t.Errorf("%d addresses and %d slots are left, want none", len(searches.queues), len(searches.slots))
		}
		if done := searches.acquire(source(0), time.Second, nil); done == nil {
			t.Error("got no slot although all are free")
		} else {
			done()
		}
	})
}

// A waiting search ends when its ended channel is closed.
func TestSearchesEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		searches := newSearches()
		for range cap(searches.slots) {
			searches.slots <- struct{}{}
		}
		searches.join(source(1)).turn <- struct{}{}
		for _, from := range []netip.Prefix{source(1), source(2)} {
			ended, began := make(chan struct{}), time.Now()
			time.AfterFunc(2*time.Second, func() { close(ended) })
			if done := searches.acquire(from, time.Minute, ended); done != nil || time.Since(began) != 2*time.Second {
				t.Errorf("%s: returned after %s, want 2 s and no slot", from, time.Since(began))
			}
		}
		if len(searches.queues) != 1 {
			t.Errorf("%d addresses are left, want the one with a search", len(searches.queues))
		}
	})
}
