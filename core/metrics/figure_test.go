package metrics_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// counting is a Measurer of counters.
type counting struct{ metrics.Counters }

func (c *counting) Measure(yield func(core.Figure)) {
	c.Counters.Measure(yield, metrics.PolicyRefusals, "house")
}

func TestCounters(t *testing.T) {
	var c counting
	if got := coretest.Figures(&c); len(got) != 0 {
		t.Errorf("nothing counted: got %v", got)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				c.Of("banned").Add(1)
				c.Of("rate").Add(2)
			}
		})
	}
	all.Wait()
	want := `map[umbra_policy_refusals_total{policy="house",reason="banned"}:40 umbra_policy_refusals_total{policy="house",reason="rate"}:80]`
	if got := fmt.Sprint(coretest.Figures(&c)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	banned := c.Of("banned")
	if kept := c.Only([]string{"new", "banned"}); kept[1] != banned || kept[0].Load() != 0 || len(coretest.Figures(&c)) != 2 {
		t.Errorf("only two words: got %v", coretest.Figures(&c))
	}
	coretest.TestMeasurer(t, &c, func() { c.Of("banned").Add(1) })
}
