package core

import (
	"fmt"
	"sync"
)

// keeper holds the state that components keep over a reload.
type keeper struct {
	mu    sync.Mutex
	state map[string]any // guarded by mu
}

// Stage is what the constructors of one file ask for that must not be done before the
// file is served: a file with a mistake, or one that is only checked, changes nothing.
type Stage struct {
	process *Process

	mu   sync.Mutex
	kept map[string]any // guarded by mu, as is then
	then []func()
}

// NewStage returns a Stage for a file.
func NewStage(p *Process) *Stage { return &Stage{process: p, kept: map[string]any{}} }

// Commit does all of it. It is called once, when everything is bound.
func (s *Stage) Commit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &s.process.kept
	k.mu.Lock()
	if k.state == nil {
		k.state = map[string]any{}
	}
	for key, kept := range s.kept {
		k.state[key] = kept
	}
	k.mu.Unlock()
	for _, do := range s.then {
		do()
	}
}

// Keep returns the state of type T that the component in env keeps over a
// reload: replay salts, counters, caches. next gets what the component kept
// before, or nil the first time, and returns what it keeps from now on, most
// often the same pointer; it changes nothing of the old (see WhenServed). An old
// and a new generation share it, so it must be safe for concurrent use. On an
// error, and until the file is served, the old state stays.
func Keep[T any](env Env, next func(old *T) (*T, error)) (*T, error) {
	k := &env.Process.kept
	key := fmt.Sprintf("%s/%s %T", env.Section, env.Name, (*T)(nil))
	if env.Stage != nil {
		env.Stage.mu.Lock()
		defer env.Stage.mu.Unlock()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old, _ := k.state[key].(*T)
	if env.Stage != nil {
		if staged, ok := env.Stage.kept[key].(*T); ok {
			old = staged
		}
	}
	kept, err := next(old)
	if err != nil {
		return nil, err
	}
	if env.Stage != nil {
		env.Stage.kept[key] = kept
		return kept, nil
	}
	if k.state == nil {
		k.state = map[string]any{}
	}
	k.state[key] = kept
	return kept, nil
}

// WhenServed has do called when the file of the component is about to be served, and
// not at all if it is refused. It is for changes of what Keep returned. Without a
// Stage it is called at once.
func (e Env) WhenServed(do func()) {
	if e.Stage == nil {
		do()
		return
	}
	e.Stage.mu.Lock()
	defer e.Stage.mu.Unlock()
	e.Stage.then = append(e.Stage.then, do)
}
