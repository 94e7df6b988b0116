package pipeline_test

import (
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// segment is the most that one burst between two bare connections moves.
const segment = 1 << 20

// watcher is a meter that sees how a flow's counter moves.
type watcher struct {
	flow *core.Flow

	mu      sync.Mutex
	bursts  int
	total   int
	largest int
	behind  int // bursts after which the counter did not tell their sum
}

func (w *watcher) Take(up, down int) (time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bursts++
	w.total += up + down
	w.largest = max(w.largest, up+down)
	if w.flow.Up.Load()+w.flow.Down.Load() != int64(w.total) {
		w.behind++
	}
	return 0, nil
}

// A long transfer between two bare connections goes in segments, so that
// counters and meters move all the while.
func TestRelayLongTransfer(t *testing.T) {
	const chunk, chunks = 1 << 20, 100
	data := coretest.Pattern(chunk, 1)
	for _, way := range []string{"up", "down"} {
		t.Run(way, func(t *testing.T) {
			w := new(watcher)
			r := startRelay(t, coretest.Pairs[1].Make, coretest.Pairs[1].Make, func(r *relayed) {
				w.flow = r.flow
				r.flow.Use(w)
			})
			defer r.close()
			from, to := r.client, r.target
			if way == "down" {
				from, to = r.target, r.client
			}
			coretest.Together(
				func() {
					for range chunks {
						coretest.Write(t, from, data)
					}
					coretest.CloseWrite(t, from)
				},
				func() {
					for range chunks {
						coretest.Read(t, to, data)
					}
					coretest.ReadAll(t, to, nil)
				},
			)
			coretest.CloseWrite(t, to)
			if err := coretest.Await(t, "the relay's end", r.done); err != nil {
				t.Errorf("relay: got %v, want nil", err)
			}
			if way == "up" {
				r.counted(t, chunk*chunks, 0)
			} else {
				r.counted(t, 0, chunk*chunks)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.total != chunk*chunks || w.behind != 0 {
				t.Errorf("the meter saw %d bytes, the counter differed %d times, want %d, 0", w.total, w.behind, chunk*chunks)
			}
			if w.largest > segment || w.bursts < chunks {
				t.Errorf("got %d bursts of %d bytes at most, want %d or more of %d", w.bursts, w.largest, chunks, segment)
			}
		})
	}
}

// An idle relay holds no buffer, whatever its ends are.
func TestRelayIdleHoldsNothing(t *testing.T) {
	eachRelay(t, func(t *testing.T, makeClient, makeTarget func(testing.TB) (a, b core.Stream)) {
		before := netio.BuffersOut()
		r := startRelay(t, makeClient, makeTarget, nil)
		defer r.close()
		coretest.Write(t, r.client, []byte("up"))
		coretest.Read(t, r.target, []byte("up"))
		coretest.Write(t, r.target, []byte("down"))
		coretest.Read(t, r.client, []byte("down"))
		coretest.Eventually(t, "the buffers' return", func() bool { return netio.BuffersOut() <= before })
	})
}

// Bytes that end with the stream, in one segment, are not lost.
func TestRelayLastBytes(t *testing.T) {
	eachRelay(t, func(t *testing.T, makeClient, makeTarget func(testing.TB) (a, b core.Stream)) {
		for size := range 20 {
			last := coretest.Pattern(size, byte(size))
			r := startRelay(t, makeClient, makeTarget, nil)
			coretest.Together(
				func() { coretest.Write(t, r.client, last); r.client.CloseWrite() },
				func() { coretest.Write(t, r.target, last); r.target.CloseWrite() },
			)
			coretest.ReadAll(t, r.target, last)
			coretest.ReadAll(t, r.client, last)
			if err := coretest.Await(t, "the relay's end", r.done); err != nil {
				t.Errorf("relay: got %v, want nil", err)
			}
			r.counted(t, size, size)
			r.close()
		}
	})
}
