package core_test

import (
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// TestBranchChoices has branches of a flow choose and take back: the flow has each choice
// once, and none that was taken back.
func TestBranchChoices(t *testing.T) {
	var whole core.Flow
	whole.Choose("rule.a")
	one, two := whole.Branch(), whole.Branch()
	one.Choose("outbound.paris")
	two.Choose("outbound.tokyo")
	check := func(want ...string) {
		t.Helper()
		if got := whole.Chosen(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	check("rule.a", "outbound.paris", "outbound.tokyo")
	before := whole.Chosen()
	one.Unchoose(0)
	check("rule.a", "outbound.tokyo")
	if want := []string{"rule.a", "outbound.paris", "outbound.tokyo"}; !slices.Equal(before, want) {
		t.Errorf("what Chosen returned has changed to %v", before)
	}
	one.Choose("outbound.tokyo") // which two has chosen
	one.Unchoose(0)
	check("rule.a", "outbound.tokyo")
	for range 100 { // back and forth
		one.Choose("outbound.paris")
		one.Choose("outbound.tokyo")
	}
	check("rule.a", "outbound.tokyo", "outbound.paris")
	var none *core.Flow
	alone := none.Branch()
	alone.Choose("outbound.paris")
	alone.Unchoose(0)
	if got := alone.Chosen(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// TestEndBeforeOnEnd has what is opened beside an association be there after its end.
func TestEndBeforeOnEnd(t *testing.T) {
	f, ended := new(core.Flow), 0
	f.OnEnd(func() { ended++ })
	f.End()
	f.OnEnd(func() { ended += 10 })
	f.End()
	if ended != 11 {
		t.Errorf("got %d, want each called once", ended)
	}
}
