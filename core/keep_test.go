package core_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// tally is state that outlives a reload.
type tally struct{ n int }

// again keeps what there is, or begins.
func again(old *tally) (*tally, error) {
	if old == nil {
		return new(tally), nil
	}
	return old, nil
}

func keep[T any](t *testing.T, env core.Env, next func(*T) (*T, error)) *T {
	t.Helper()
	kept, err := core.Keep(env, next)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestKeep(t *testing.T) {
	env := coretest.Env(t)
	env.Section, env.Name = core.SectionPolicy, "ban"
	first := keep(t, env, again)
	if got := keep(t, env, again); got != first {
		t.Errorf("again: got %p, want %p", got, first)
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
		if got := keep(t, tc.env, again); got == first {
			t.Errorf("%s: got the state of the first", tc.name)
		}
	}
	// One component may keep several things, told apart by type.
	keep(t, env, func(old *string) (*string, error) {
		if old != nil {
			t.Errorf("another type: got %q, want nil", *old)
		}
		return new(string), nil
	})
	if got := keep(t, env, again); got != first {
		t.Errorf("after another type: got %p, want %p", got, first)
	}
}

func TestKeepReplaces(t *testing.T) {
	env := coretest.Env(t)
	keep(t, env, func(*tally) (*tally, error) { return &tally{1}, nil })
	errBad := errors.New("bad file")
	if got, err := core.Keep(env, func(*tally) (*tally, error) { return &tally{2}, errBad }); got != nil || err != errBad {
		t.Errorf("on an error: got %v, %v, want nil, %v", got, err, errBad)
	}
	keep(t, env, func(old *tally) (*tally, error) {
		if old == nil || old.n != 1 {
			t.Errorf("after an error: got %v, want the old state", old)
		}
		return &tally{3}, nil
	})
	if got := keep(t, env, again); got.n != 3 {
		t.Errorf("got %d, want the state of the last that went well", got.n)
	}
}

func TestKeepAtOnce(t *testing.T) {
	env := coretest.Env(t)
	var all sync.WaitGroup
	made := 0
	for range 16 {
		all.Go(func() {
			_, err := core.Keep(env, func(old *tally) (*tally, error) {
				if old == nil {
					made++ // calls don't overlap
				}
				return again(old)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made != 1 {
		t.Errorf("the state was made %d times, want once", made)
	}
}
