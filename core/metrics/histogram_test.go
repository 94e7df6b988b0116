package metrics

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func TestHistogram(t *testing.T) {
	h := NewHistogram([]float64{1, 2})
	var counting sync.WaitGroup
	for range 4 {
		counting.Go(func() {
			for _, v := range []float64{0.5, 1, 1.5, 3} {
				h.Observe(v)
			}
		})
	}
	counting.Wait()
	c := h.Counts()
	if c.Count != 16 || c.Sum != 24 || !slices.Equal(c.AtMost, []uint64{8, 12}) {
		t.Errorf("got %+v", c)
	}
}

// The names follow the conventions of Prometheus.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		switch {
		case seen[m.Name]:
			t.Errorf("%s: twice", m.Name)
		case !strings.HasPrefix(m.Name, "umbra_") || m.Help == "":
			t.Errorf("%s: want the prefix umbra_ and a help line", m.Name)
		case (m.Kind == core.Counter) != strings.HasSuffix(m.Name, "_total"):
			t.Errorf("%s: a %s", m.Name, m.Kind)
		}
		seen[m.Name] = true
		for _, l := range m.Labels {
			if slices.Contains([]string{"client", "target", "address", "url"}, l) {
				t.Errorf("%s: the label %s has no bound", m.Name, l)
			}
		}
	}
}
