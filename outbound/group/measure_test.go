package group_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// last picks the last member. It is not Single.
type last struct{}

func (last) Pick(_ group.Question, members []*group.Member) int { return len(members) - 1 }

// figures are those of a group of a and b.
func figures(up, selected [2]float64, switches float64) map[string]float64 {
	all := map[string]float64{`umbra_group_switches_total{group="test"}`: switches}
	for i, m := range []string{"a", "b"} {
		all[fmt.Sprintf(`umbra_group_member_up{group="test",member=%q}`, m)] = up[i]
		all[fmt.Sprintf(`umbra_group_member_selected{group="test",member=%q}`, m)] = selected[i]
	}
	return all
}

// TestMeasure has the first member fail and come back, over a reload.
func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		a := w.members[0]
		want := func(what string, want map[string]float64) {
			t.Helper()
			coretest.TestMeasurer(t, w.group, func() {})
			if got := coretest.Figures(w.group); !maps.Equal(got, want) {
				t.Errorf("%s:\ngot  %v\nwant %v", what, got, want)
			}
		}
		want("before the first request", figures([2]float64{1, 1}, [2]float64{1, 0}, 0))
		w.want("a")
		want("a serves", figures([2]float64{1, 1}, [2]float64{1, 0}, 0))
		a.set(errRefused, 0)
		for range 3 {
			w.want("b")
		}
		want("a is out", figures([2]float64{0, 1}, [2]float64{0, 1}, 0))
		w.want("b")
		want("b serves", figures([2]float64{0, 1}, [2]float64{0, 1}, 1))
		w.load()
		want("a reload", figures([2]float64{0, 1}, [2]float64{0, 1}, 1))
		w.want("b")
		want("b serves on", figures([2]float64{0, 1}, [2]float64{0, 1}, 1))
		a.set(nil, 0)
		time.Sleep(30 * time.Second)
		for range 2 {
			w.want("a")
		}
		w.want("a")
		want("a is back", figures([2]float64{1, 1}, [2]float64{1, 0}, 2))
	})
}

// TestMeasureAllDown has no member selected while requests are refused.
func TestMeasureAllDown(t *testing.T) {
	w := newWorld(t, 2, first{}, func(o *group.Options) { o.AllDown, o.Fall = "refuse", 1 })
	for _, m := range w.members {
		m.set(errRefused, 0)
	}
	if _, err := w.dial(context.Background()); err == nil {
		t.Fatal("got a stream")
	}
	if got, want := coretest.Figures(w.group), figures([2]float64{}, [2]float64{}, 0); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMeasureMany has a group that has no member for all requests.
func TestMeasureMany(t *testing.T) {
	w := newWorld(t, 2, last{}, nil)
	w.want("b")
	want := map[string]float64{`umbra_group_member_up{group="test",member="a"}`: 1, `umbra_group_member_up{group="test",member="b"}`: 1}
	if got := coretest.Figures(w.group); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
