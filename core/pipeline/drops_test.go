package pipeline_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// dropObserver is a core.DropObserver that remembers.
type dropObserver struct {
	mu  sync.Mutex
	got [][]core.Dropped // guarded by mu
}

func (*dropObserver) Observe(core.Event) {}

func (d *dropObserver) ObserveDrops(drops core.Drops) {
	ds := drops.Dropped
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, ds)
}

func (d *dropObserver) take() [][]core.Dropped {
	d.mu.Lock()
	defer d.mu.Unlock()
	got := d.got
	d.got = nil
	return got
}

// Observers hear of dropped datagrams while the association lasts, of each once, and of
// the last ones at its end.
func TestDropsAreToldEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newStage(t), new(dropObserver)
		s.cfg.Observers = []core.Observer{o}
		s.Pipeline = pipeline.New(s.cfg)
		g := s.guest(t)
		g.serve(t, s)
		expect := func(when string, want ...core.Dropped) {
			t.Helper()
			synctest.Wait()
			got := o.take()
			if len(want) == 0 && len(got) == 0 || len(got) == 1 && slices.Equal(got[0], want) {
				return
			}
			t.Errorf("%s: got %v, want %v once", when, got, want)
		}
		for _, n := range []int{3, 4} {
			g.request.Flow.Drop(core.DropFull, n)
			expect("at once")
			time.Sleep(sweep)
			expect("after a sweep", core.Dropped{Reason: core.DropFull, Count: n})
		}
		time.Sleep(sweep)
		expect("without a drop")
		g.request.Flow.Drop(core.DropMalformed, 1)
		g.request.Flow.DropAnswers(core.DropFull, 2)
		g.request.Flow.Cut(core.ErrShutdown)
		expect("at the end", core.Dropped{Reason: core.DropMalformed, AtInbound: true, Count: 1}, core.Dropped{Reason: core.DropFull, AtInbound: true, Count: 2})
	})
}
