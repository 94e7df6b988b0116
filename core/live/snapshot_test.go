package live

import (
	"math"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// A figure that JSON can't have is left out: with it there would be no snapshot at all.
func TestCounts(t *testing.T) {
	id := config.ID{Section: core.SectionPolicy, Name: "x"}
	m := &core.Metric{Name: "x", Kind: core.Gauge, Labels: []string{"policy", "reason"}}
	for _, tc := range []struct {
		f     core.Figure
		wants bool
	}{
		{core.Figure{Metric: m, Labels: []string{"x", "r"}, Value: 1}, true},
		{core.Figure{Metric: m, Labels: []string{"x", "r"}, Value: math.NaN()}, false},
		{core.Figure{Metric: m, Labels: []string{"x", "r"}, Value: math.Inf(1)}, false},
		{core.Figure{Metric: m, Labels: []string{"x"}, Value: 1}, false},
		{core.Figure{}, false},
	} {
		c, ok := countOf(id, tc.f)
		if ok != tc.wants {
			t.Errorf("%+v: got %+v, %t", tc.f, c, ok)
		}
		if ok && (len(c.Labels) != 1 || c.Labels["reason"] != "r") {
			t.Errorf("%+v: got %+v", tc.f, c)
		}
	}
}
