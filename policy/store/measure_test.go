package store_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/policy/store"
)

// mirrored is a Measurer of a mirror.
type mirrored struct{ *store.Mirror }

func (m mirrored) Measure(yield func(core.Figure)) { m.Mirror.Measure(yield, "house") }

const upSeries, lagSeries = `umbra_store_up{policy="house"}`, `umbra_store_lag_seconds{policy="house"}`

// TestMeasure has a store go away and come back, with changes that wait meanwhile.
func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripted()
		n := newNode(t, s)
		want := func(what string, up, lag float64) {
			t.Helper()
			synctest.Wait()
			coretest.TestMeasurer(t, mirrored{n.mirror}, func() {})
			if got := coretest.Figures(mirrored{n.mirror}); got[upSeries] != up || got[lagSeries] != lag || len(got) != 2 {
				t.Errorf("%s: got %v, want up %v and a lag of %v", what, got, up, lag)
			}
		}
		want("it answers", 1, 0)
		n.put("a", "1")
		want("a change was sent", 1, 0)
		s.script("watch")
		time.Sleep(10 * time.Second)
		want("away, and nothing waits", 0, 0)
		n.put("b", "1")
		time.Sleep(time.Minute)
		n.put("c", "1")
		want("away for a minute", 0, 60)
		time.Sleep(time.Minute)
		want("away for two", 0, 120)
		s.script("")
		time.Sleep(5 * time.Second)
		want("it is back", 1, 0)
		n.stop()
	})
}

// TestMeasureFile writes to a disk that is full.
func TestMeasureFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	for _, full := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "bans")
		if full {
			if err := os.Symlink("/dev/full", path+".new"); err != nil {
				t.Fatal(err)
			}
		}
		log, _ := newLog()
		f, err := store.OpenFile(path, log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f.Run(ctx) // it tries to write once
		got := coretest.Figures(mirrored{store.NewMirror(f, "n/", newSet(), log)})
		if got[upSeries] != 0 || (got[lagSeries] > 0) != full { // the mirror has not run
			t.Errorf("full %t: got %v", full, got)
		}
		if up, _ := f.Health(); up == full {
			t.Errorf("full %t: got up %t", full, up)
		}
	}
}
