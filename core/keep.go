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

// Keep returns the state of type T that the component in env keeps over a
// reload: replay salts, counters, caches. next gets what the component kept
// before, or nil the first time, and returns what it keeps from now on, most
// often the same pointer. An old and a new generation share it, so it must be
// safe for concurrent use. On an error the old state stays.
func Keep[T any](env Env, next func(old *T) (*T, error)) (*T, error) {
	k := &env.Process.kept
	key := fmt.Sprintf("%s/%s %T", env.Section, env.Name, (*T)(nil))
	k.mu.Lock()
	defer k.mu.Unlock()
	old, _ := k.state[key].(*T)
	kept, err := next(old)
	if err != nil {
		return nil, err
	}
	if k.state == nil {
		k.state = map[string]any{}
	}
	k.state[key] = kept
	return kept, nil
}
