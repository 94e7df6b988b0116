package coretest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// TestMeasurer checks the figures of a component: each names a metric of the right form and
// has a value for each label, no series comes twice, values are finite, counters don't fall,
// and it may be asked from many goroutines. use does something that the component counts; it
// runs concurrently with questions.
//
// The other kits check a component that is a core.Measurer in the same way.
func TestMeasurer(t testing.TB, m core.Measurer, use func()) {
	t.Helper()
	var before measured
	before.ask(t, m)
	within(t, "figures", func() {
		var all sync.WaitGroup
		all.Go(use)
		for range 4 {
			all.Go(func() {
				last := before
				for range 20 {
					var now measured
					now.ask(t, m)
					now.follows(t, last)
					last = now
				}
			})
		}
		all.Wait()
	})
	var after measured
	after.ask(t, m)
	after.follows(t, before)
}

// Figures returns the figures of a component by their series, as
// `umbra_bans{policy="house"}`. That of a histogram is the number of its values.
func Figures(m core.Measurer) map[string]float64 {
	all := map[string]float64{}
	m.Measure(func(f core.Figure) {
		all[series(f)] = f.Value
		if f.Metric.Kind == core.Histogram {
			all[series(f)] = float64(f.Counts.Count)
		}
	})
	return all
}

// measuredBy checks the figures of c if it is a core.Measurer. Other kits call it once they
// have used c.
func measuredBy(t testing.TB, c any) {
	t.Helper()
	if m, ok := c.(core.Measurer); ok {
		TestMeasurer(t, m, func() {})
	}
}

// series returns the name of a figure's series, as Prometheus writes it.
func series(f core.Figure) string {
	if len(f.Labels) == 0 {
		return f.Metric.Name
	}
	var pairs []string
	for i, v := range f.Labels {
		label := "?"
		if i < len(f.Metric.Labels) {
			label = f.Metric.Labels[i]
		}
		pairs = append(pairs, fmt.Sprintf("%s=%q", label, v))
	}
	return f.Metric.Name + "{" + strings.Join(pairs, ",") + "}"
}

// measured are the figures of one question, by series.
type measured map[string]core.Figure

// Names as Prometheus has them.
var (
	metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	labelName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// ask asks for the figures and checks each.
func (all *measured) ask(t testing.TB, m core.Measurer) {
	*all = measured{}
	m.Measure(func(f core.Figure) {
		if err := checkFigure(f); err != nil {
			t.Errorf("figure %+v: %v", f, err)
			return
		}
		s := series(f)
		if _, twice := (*all)[s]; twice {
			t.Errorf("%s: twice in one answer", s)
		}
		f.Labels = slices.Clone(f.Labels)
		(*all)[s] = f
	})
}

// checkFigure returns what is wrong with a figure by itself.
func checkFigure(f core.Figure) error {
	m := f.Metric
	switch {
	case m == nil:
		return fmt.Errorf("no metric")
	case !metricName.MatchString(m.Name) || m.Help == "" || strings.Contains(m.Help, "\n"):
		return fmt.Errorf("want a name in lower case, and a help text of one line")
	case (m.Kind == core.Counter) != strings.HasSuffix(m.Name, "_total"):
		return fmt.Errorf("a %s: counters, and they alone, end in _total", m.Kind)
	case len(f.Labels) != len(m.Labels):
		return fmt.Errorf("%d labels, want %d: %v", len(f.Labels), len(m.Labels), m.Labels)
	}
	for i, l := range m.Labels {
		if !labelName.MatchString(l) || l == "le" || slices.Contains(m.Labels[:i], l) {
			return fmt.Errorf("label %q: want names in lower case, each once, and not le", l)
		}
		if f.Labels[i] == "" {
			return fmt.Errorf("label %s has no value", l)
		}
	}
	switch m.Kind {
	case core.Counter, core.Gauge:
		if math.IsNaN(f.Value) || math.IsInf(f.Value, 0) || m.Kind == core.Counter && f.Value < 0 {
			return fmt.Errorf("value %v", f.Value)
		}
		return nil
	case core.Histogram:
		return checkCounts(f.Counts)
	}
	return fmt.Errorf("kind %q", m.Kind)
}

// checkCounts returns what is wrong with a histogram.
func checkCounts(c core.Counts) error {
	if len(c.Bounds) == 0 || len(c.Bounds) != len(c.AtMost) || !slices.IsSorted(c.Bounds) || !slices.IsSorted(c.AtMost) {
		return fmt.Errorf("want bounds in ascending order, and a count for each that is not below the one before")
	}
	if c.AtMost[len(c.AtMost)-1] > c.Count || math.IsNaN(c.Sum) || math.IsInf(c.Sum, 0) {
		return fmt.Errorf("%d values, sum %v", c.Count, c.Sum)
	}
	return nil
}

// follows checks that no counter has fallen since before.
func (all measured) follows(t testing.TB, before measured) {
	for s, was := range before {
		now, ok := all[s]
		switch {
		case was.Metric.Kind == core.Gauge:
		case !ok:
			t.Errorf("%s: has gone, was %v", s, was.Value)
		case now.Value < was.Value || now.Counts.Count < was.Counts.Count:
			t.Errorf("%s: fell from %v to %v (values: %d to %d)", s, was.Value, now.Value, was.Counts.Count, now.Counts.Count)
		}
	}
}
