package core_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// tally is state that outlives a reload.
type tally struct{ n int }

// keep keeps a tally, and returns what there was before and what is kept, nil until
// the commit.
func keep(env core.Env) (before, kept **tally) {
	before, kept = new(*tally), new(*tally)
	core.Keep(env, func(old *tally) *tally {
		*before = old
		if old == nil {
			old = new(tally)
		}
		*kept = old
		return old
	})
	return before, kept
}

func TestKeep(t *testing.T) {
	env := coretest.Env(t)
	env.Section, env.Name = core.SectionPolicy, "ban"
	_, first := keep(env)
	if _, again := keep(env); *again != *first {
		t.Errorf("again: got %p, want %p", *again, *first)
	}
	other := func(edit func(*core.Env)) core.Env {
		e := env
		edit(&e)
		return e
	}
	for _, tc := range []struct {
		name string
		env  core.Env
	}{
		{"another name", other(func(e *core.Env) { e.Name = "limit" })},
		{"another section", other(func(e *core.Env) { e.Section = core.SectionCipher })},
		{"another process", other(func(e *core.Env) { e.Process = new(core.Process) })},
	} {
		if before, _ := keep(tc.env); *before != nil {
			t.Errorf("%s: got the state of the first", tc.name)
		}
	}
	// One component may keep several things, told apart by type.
	core.Keep(env, func(old *string) *string {
		if old != nil {
			t.Errorf("another type: got %q, want nil", *old)
		}
		return new(string)
	})
	if _, got := keep(env); *got != *first {
		t.Errorf("after another type: got %p, want %p", *got, *first)
	}
	core.Keep(env, func(*tally) *tally { return &tally{3} })
	if _, got := keep(env); (*got).n != 3 {
		t.Errorf("got %d, want the state that took the place of the first", (*got).n)
	}
}

func TestKeepNil(t *testing.T) {
	defer func() {
		if got, want := recover(), "core: policy/x *core_test.tally keeps nil"; got != want {
			t.Errorf("got %v, want a panic with %q", got, want)
		}
	}()
	core.Keep(core.Env{Section: core.SectionPolicy, Name: "x", Process: new(core.Process)}, func(*tally) *tally { return nil })
}

// Nothing reaches the process before the commit of a file, and nothing at all from a
// file that is not committed.
func TestStage(t *testing.T) {
	env := core.Env{Section: core.SectionCipher, Name: "x", Process: new(core.Process)}
	_, live := keep(env)
	refused, served := env, env
	refused.Stage, served.Stage = new(core.Stage), new(core.Stage)
	_, lost := keep(refused)
	before, kept := keep(served)
	var order []int
	for i := range 3 {
		core.Keep(served, func(*int) *int { order = append(order, i); return &i })
	}
	if *lost != nil || *before != nil || *kept != nil || order != nil {
		t.Error("a state was adopted before the commit")
	}
	served.Stage.Commit()
	if *before != *live || *kept != *live || *lost != nil {
		t.Errorf("after the commit: got %p, %p and %p, want %p twice and nil", *before, *kept, *lost, *live)
	}
	if !slices.Equal(order, []int{0, 1, 2}) {
		t.Errorf("adopted in the order %v", order)
	}
	if _, late := keep(served); *late != *live {
		t.Errorf("asked for after the commit: got %p, want %p at once", *late, *live)
	}
	served.Stage.Commit()
	if len(order) != 3 {
		t.Error("a second commit adopted again")
	}
}

func TestProcessKept(t *testing.T) {
	env := core.Env{Section: core.SectionCipher, Name: "x", Process: new(core.Process)}
	_, live := keep(env)
	n := 0
	env.Process.Kept(func(key string, state any) {
		n++
		if key != "cipher/x *core_test.tally" || state != *live {
			t.Errorf("got %s, %v", key, state)
		}
	})
	if n != 1 {
		t.Errorf("got %d states, want 1", n)
	}
}

func TestKeepAtOnce(t *testing.T) {
	env := coretest.Env(t)
	var all sync.WaitGroup
	made := 0
	for range 16 {
		all.Go(func() {
			core.Keep(env, func(old *tally) *tally {
				if old == nil {
					made++ // calls don't overlap
					old = new(tally)
				}
				return old
			})
		})
	}
	all.Wait()
	if made != 1 {
		t.Errorf("the state was made %d times, want once", made)
	}
}
