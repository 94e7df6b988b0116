package dns

import (
	"sync"
	"testing"
	"time"
)

// TestStale goes through the life of an answer whose server dies.
func TestStale(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7")}
	bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		finds(t, r, "a.test", "192.0.2.7", 0)
		time.Sleep(2 * time.Minute)
		w.becomes(fails, time.Hour) // silent
		finds(t, r, "a.test", "192.0.2.7", staleDelay)
		finds(t, r, "a.test", "192.0.2.7", 0)
		asked := w.count()
		time.Sleep(staleAgain - 3*time.Second)
		if finds(t, r, "a.test", "192.0.2.7", 0); w.count() != asked+1 { // its second try
			t.Errorf("within half a minute: got %d questions, want %d", w.count(), asked+1)
		}
		time.Sleep(3 * time.Second)
		found, err := r.Tell(t.Context(), "a.test")
		if err != nil || len(found) != 1 || found[0].TTL != staleTTL || !found[0].Cached {
			t.Errorf("got %+v, %v, want a stale answer", found, err)
		}
		time.Sleep(time.Hour)
		if err := lacks(t, r, "a.test", 4*time.Second); !err.IsTimeout || !err.IsTemporary {
			t.Errorf("an hour later: got %+v, want a timeout", err)
		}
		time.Sleep(failedTTL)
		w.becomes(says(60, "192.0.2.8"), 0)
		finds(t, r, "a.test", "192.0.2.8", 0)
	})
}

// TestStaleMends checks that a better answer in time is taken.
func TestStaleMends(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7")}
	bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		finds(t, r, "a.test", "192.0.2.7", 0)
		time.Sleep(2 * time.Minute)
		w.becomes(says(60, "192.0.2.8"), time.Second)
		finds(t, r, "a.test", "192.0.2.8", time.Second)
		time.Sleep(2 * time.Minute)
		w.becomes(denies(60, 60), 0)
		if err := lacks(t, r, "a.test", 0); !err.IsNotFound {
			t.Errorf("got %v, want that the name is gone", err)
		}
	})
}

// TestStaleLast checks that a server that answers again, with an answer that is not
// remembered, is believed from then on; and that those who come while it is asked wait
// for it.
func TestStaleLast(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7")}
	bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		finds(t, r, "a.test", "192.0.2.7", 0)
		time.Sleep(2 * time.Minute)
		w.becomes(says(0, "192.0.2.8"), time.Second)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { finds(t, r, "a.test", "192.0.2.8", time.Second) })
		}
		all.Wait()
		finds(t, r, "a.test", "192.0.2.8", time.Second)
		w.becomes(fails, 0)
		lacks(t, r, "a.test", 0)
	})
}

func TestStaleOff(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7")}
	bubble(t, func(o *Options) { o.ServeStale = 0 }, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		finds(t, r, "a.test", "192.0.2.7", 0)
		time.Sleep(time.Minute)
		w.becomes(fails, 0)
		lacks(t, r, "a.test", 0)
	})
}

// TestPrefetch checks that a name in use is asked for before its answer ends, and
// one that is not, not.
func TestPrefetch(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Options)
		hits   int
		want   int // questions
	}{
		{"in use", nil, 3, 2},
		{"hardly", nil, 1, 1},
		{"off", func(o *Options) { o.Prefetch = false }, 3, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &fakeWire{answer: says(100, "192.0.2.7")}
			bubble(t, tc.change, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
				for range tc.hits {
					finds(t, r, "a.test", "192.0.2.7", 0)
				}
				time.Sleep(91 * time.Second)
				finds(t, r, "a.test", "192.0.2.7", 0)
				time.Sleep(8 * time.Second) // until just before the end
				if w.count() != tc.want {
					t.Errorf("got %d questions, want %d", w.count(), tc.want)
				}
				time.Sleep(2 * time.Second)
				finds(t, r, "a.test", "192.0.2.7", 0)
				if w.count() != 2 {
					t.Errorf("after the end of the first answer: got %d questions, want 2", w.count())
				}
			})
		})
	}
}
