package wire

import (
	"sync"
	"sync/atomic"
)

// Lock is held by the call that reads from a stream. If the stream is closed during
// that call, the call releases the reader's resources when it ends.
type Lock struct {
	mu     sync.Mutex
	closed atomic.Bool
}

// Lock begins a read call.
func (l *Lock) Lock() { l.mu.Lock() }

// Unlock ends a read call. If Close was called during it, Unlock calls release.
func (l *Lock) Unlock(release func()) {
	l.mu.Unlock()
	if l.closed.Load() {
		l.Close(release)
	}
}

// Close calls release once no read call is running: now, or in the Unlock of the
// running call. Later read calls may call release again. The wire must be closed first,
// so that no call is blocked on it.
func (l *Lock) Close(release func()) {
	l.closed.Store(true)
	if !l.mu.TryLock() {
		return // Unlock calls Close again
	}
	defer l.mu.Unlock()
	release()
}
