package core_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// What the constructors of a file ask for happens when it is served, and not at all if
// it is refused; within the file they see it.
func TestStage(t *testing.T) {
	env := core.Env{Section: core.SectionCipher, Name: "x", Process: new(core.Process)}
	keep := func(e core.Env, n int) (before int) {
		if _, err := core.Keep(e, func(old *int) (*int, error) {
			if old != nil {
				before = *old
			}
			return &n, nil
		}); err != nil {
			t.Fatal(err)
		}
		return before
	}
	keep(env, 1)
	done := 0
	refused, served := env, env
	refused.Stage, served.Stage = core.NewStage(env.Process), core.NewStage(env.Process)
	keep(refused, 2)
	refused.WhenServed(func() { done += 10 })
	if got := keep(refused, 3); got != 2 {
		t.Errorf("within the file: got %d, want 2", got)
	}
	if got := keep(served, 4); got != 1 {
		t.Errorf("beside a file that is not served: got %d, want 1", got)
	}
	served.WhenServed(func() { done++ })
	if done != 0 {
		t.Error("something was done before the file was served")
	}
	served.Stage.Commit()
	if got := keep(env, 5); got != 4 || done != 1 {
		t.Errorf("after it was served: got %d, done %d, want 4 and 1", got, done)
	}
	if env.WhenServed(func() { done++ }); done != 2 {
		t.Error("without a stage it was not done at once")
	}
}
