package wire

import (
	"sync"
	"sync/atomic"
)

// Lock is held by the one call that uses a reader. The stream may be closed during that
// call, which then gives up what the reader holds.
type Lock struct {
	mu     sync.Mutex
	closed atomic.Bool
}

// Lock begins a call.
func (l *Lock) Lock() { l.mu.Lock() }

// Unlock ends a call. If Close was called in the meantime, it calls release.
func (l *Lock) Unlock(release func()) {
	l.mu.Unlock()
	if l.closed.Load() {
		l.Close(release)
	}
}

// Close calls release while no call uses the reader: now, or by the Unlock of the call
// that does so. release may be called again by later calls. The wire has been closed
// before, so that no call waits on it.
func (l *Lock) Close(release func()) {
	l.closed.Store(true)
	if !l.mu.TryLock() {
		return // Unlock comes here again
	}
	defer l.mu.Unlock()
	release()
}
