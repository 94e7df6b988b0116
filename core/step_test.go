package core_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// A flow keeps steps only while it records, its branches give theirs to it, and there is a
// bound.
func TestSteps(t *testing.T) {
	f := new(core.Flow)
	f.Step(core.Step{Name: "before"})
	if f.Recording() || f.Steps() != nil {
		t.Fatalf("not recording: got %v", f.Steps())
	}
	f.Take(0, 1)
	if !f.Answered().IsZero() {
		t.Error("not recording: got a time of the first bytes")
	}
	var none *core.Flow
	none.Step(core.Step{})

	f = new(core.Flow)
	f.Record()
	f.Branch().Step(core.Step{Name: "branch"})
	for range 100 {
		f.Step(core.Step{Name: "own"})
	}
	if all := f.Steps(); len(all) != 32 || all[0].Name != "branch" || all[1].Name != "own" {
		t.Errorf("got %d steps: %v", len(all), all)
	}
	f.Take(1, 0)
	if !f.Answered().IsZero() {
		t.Error("bytes up: got a time of the first bytes down")
	}
	f.Take(0, 1)
	first := f.Answered()
	f.Take(0, 1)
	if first.IsZero() || f.Answered() != first {
		t.Errorf("first bytes: got %v, then %v", first, f.Answered())
	}
}
