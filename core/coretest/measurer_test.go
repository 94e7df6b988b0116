package coretest_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// verdict records what a kit finds.
type verdict struct {
	testing.TB
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (*verdict) Helper() {}

func (v *verdict) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(&v.text, format+"\n", args...)
}

// figures is a Measurer that passes on the same figures at each question.
type figures []core.Figure

func (all figures) Measure(yield func(core.Figure)) {
	for _, f := range all {
		yield(f)
	}
}

// falling is a Measurer whose counter falls.
type falling struct{ n *atomic.Int64 }

func (f falling) Measure(yield func(core.Figure)) {
	yield(core.Figure{Metric: &core.Metric{Name: "x_total", Kind: core.Counter, Help: "x"}, Value: float64(f.n.Load())})
}

func TestMeasurer(t *testing.T) {
	gauge := &core.Metric{Name: "x", Kind: core.Gauge, Help: "x", Labels: []string{"y"}}
	histogram := &core.Metric{Name: "x_seconds", Kind: core.Histogram, Help: "x"}
	counts := core.Counts{Count: 3, Sum: 2, Bounds: []float64{1, 2}, AtMost: []uint64{1, 2}}
	var n atomic.Int64
	n.Store(2)
	for _, tc := range []struct {
		name string
		m    core.Measurer
		want string // "" for none
	}{
		{"nothing", figures{}, ""},
		{"good", figures{{Metric: gauge, Labels: []string{"a"}, Value: -1}, {Metric: gauge, Labels: []string{"b"}}, {Metric: histogram, Counts: counts}}, ""},
		{"no metric", figures{{}}, "no metric"},
		{"no help", figures{{Metric: &core.Metric{Name: "x", Kind: core.Gauge}}}, "help text"},
		{"a name in capitals", figures{{Metric: &core.Metric{Name: "xY", Kind: core.Gauge, Help: "x"}}}, "lower case"},
		{"no kind", figures{{Metric: &core.Metric{Name: "x", Help: "x"}}}, `kind ""`},
		{"a counter's name", figures{{Metric: &core.Metric{Name: "x", Kind: core.Counter, Help: "x"}}}, "_total"},
		{"a gauge's name", figures{{Metric: &core.Metric{Name: "x_total", Kind: core.Gauge, Help: "x"}}}, "_total"},
		{"too few labels", figures{{Metric: gauge}}, "0 labels, want 1"},
		{"an empty label", figures{{Metric: gauge, Labels: []string{""}}}, "label y has no value"},
		{"twice", figures{{Metric: gauge, Labels: []string{"a"}}, {Metric: gauge, Labels: []string{"a"}}}, `x{y="a"}: twice`},
		{"not a number", figures{{Metric: gauge, Labels: []string{"a"}, Value: math.NaN()}}, "value NaN"},
		{"a histogram of nothing", figures{{Metric: histogram}}, "bounds"},
		{"a histogram that falls", figures{{Metric: histogram, Counts: core.Counts{Count: 3, Bounds: []float64{1, 2}, AtMost: []uint64{2, 1}}}}, "bounds"},
		{"more in a bucket than values", figures{{Metric: histogram, Counts: core.Counts{Count: 1, Bounds: []float64{1}, AtMost: []uint64{2}}}}, "1 values"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := &verdict{TB: t}
			coretest.TestMeasurer(v, tc.m, func() {})
			if got := v.text.String(); tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	v := &verdict{TB: t}
	coretest.TestMeasurer(v, falling{&n}, func() {})
	if v.text.Len() > 0 {
		t.Errorf("got %q", v.text.String())
	}
	coretest.TestMeasurer(v, falling{&n}, func() { n.Store(1) })
	if !strings.Contains(v.text.String(), "x_total: fell from 2 to 1") {
		t.Errorf("a counter that falls: got %q", v.text.String())
	}
}

func TestFigures(t *testing.T) {
	m := figures{{Metric: &core.Metric{Name: "x", Kind: core.Gauge, Labels: []string{"y", "z"}}, Labels: []string{`a"`, "b"}, Value: 1.5},
		{Metric: &core.Metric{Name: "h", Kind: core.Histogram}, Counts: core.Counts{Count: 7}}}
	if got := coretest.Figures(m); len(got) != 2 || got[`x{y="a\"",z="b"}`] != 1.5 || got["h"] != 7 {
		t.Errorf("got %v", got)
	}
}
