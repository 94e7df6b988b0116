package core

import (
	"fmt"
	"sync"
)

// State over a reload
//
// A component may keep state that outlives its file: replay salts, bans, caches. It
// belongs to the Process, under the component's section and name. Two steps keep a
// file that is refused, or only checked, from changing what the process has:
//
//  1. The constructor makes what is its own, checks all that can fail and calls Keep
//     with a function. It never has the state of the running file.
//  2. At the commit, once the whole file has been built and all its addresses are
//     bound, that function gets the state of before and returns what is kept from now
//     on. It can't fail: whatever can belongs into the first step.
//
// The commit comes before any method of the component but Listen and Shutdown, which
// a file that is refused later sees too: what the function has not set yet is nil there.

// keeper holds the state that components keep over a reload.
type keeper struct {
	mu    sync.Mutex
	state map[string]any // guarded by mu
}

// Stage collects what the constructors of one file asked Keep for. The engine commits
// it once the file is certain to be served, or drops it. The zero Stage is ready.
type Stage struct {
	mu        sync.Mutex
	committed bool // guarded by mu, as is adopts
	adopts    []func()
}

// Commit makes all calls of the functions given to Keep, in their order.
func (s *Stage) Commit() {
	s.mu.Lock()
	adopts := s.adopts
	s.committed, s.adopts = true, nil
	s.mu.Unlock()
	for _, adopt := range adopts {
		adopt()
	}
}

// at has do called at the commit, or at once after it.
func (s *Stage) at(do func()) {
	s.mu.Lock()
	late := s.committed
	if !late {
		s.adopts = append(s.adopts, do)
	}
	s.mu.Unlock()
	if late {
		do()
	}
}

// Keep has the component in env keep a state of type T over reloads. adopt is called
// once, when the file of the component is certain to be served, and not at all if the
// file is refused or only checked. It gets what the component of the same section and
// name kept before, or nil, gives the component what it needs of it, and returns what
// is kept from now on, most often the same pointer. It may change the old state, as by
// new bounds, and can't fail. An old and a new component share the state, so it must be
// safe for concurrent use. A component may keep several states, distinguished by type;
// they are adopted in the order of the calls. adopt itself does not call Keep.
//
// Without a Stage, as in a test of one component, adopt is called at once.
func Keep[T any](env Env, adopt func(old *T) *T) {
	key := fmt.Sprintf("%s/%s %T", env.Section, env.Name, (*T)(nil))
	do := func() {
		k := &env.Process.kept
		k.mu.Lock()
		defer k.mu.Unlock()
		old, _ := k.state[key].(*T)
		kept := adopt(old)
		if kept == nil {
			panic(fmt.Sprintf("core: %s keeps nil", key))
		}
		if k.state == nil {
			k.state = map[string]any{}
		}
		k.state[key] = kept
	}
	if env.Stage == nil {
		do()
		return
	}
	env.Stage.at(do)
}

// Kept calls visit with each state that components keep, under its section, name and
// type. It is for tests, which compare what a process has before and after: see
// coretest.Kept.
func (p *Process) Kept(visit func(key string, state any)) {
	k := &p.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, state := range k.state {
		visit(key, state)
	}
}
