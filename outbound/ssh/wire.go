package ssh

import (
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
)

// wire is the connection below an SSH connection. It tells the end of one channel from the
// loss of all: the library ends a channel's reads by io.EOF in both cases, and a stream that
// was cut off must not look complete.
//
// The library reads the wire in one goroutine, which stops at the first failure: of the wire,
// or of what it decrypts. So while that goroutine reads, or once it reads again, the ends of
// channels that were seen before are orderly.
type wire struct {
	core.Stream
	heard atomic.Bool // bytes have come since the last look

	mu      sync.Mutex
	changed sync.Cond // signals changes of the fields below, which mu guards
	reading bool
	lost    error // why the wire can't be used any more, or nil
}

func newWire(s core.Stream) *wire {
	w := &wire{Stream: s}
	w.changed.L = &w.mu
	return w
}

func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	w.reading = true
	w.changed.Broadcast()
	w.mu.Unlock()

	n, err := w.Stream.Read(p)
	if n > 0 {
		w.heard.Store(true)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading = false
	if err != nil {
		w.lose(err)
	}
	return n, err
}

// lose notes the first reason of a loss. mu is held.
func (w *wire) lose(err error) {
	if w.lost == nil {
		w.lost = err
	}
	w.changed.Broadcast()
}

// Close closes the wire. The library calls it after a failure.
func (w *wire) Close() error { return w.end(errBroken) }

// end closes the wire for a reason.
func (w *wire) end(reason error) error {
	w.mu.Lock()
	w.lose(reason)
	w.mu.Unlock()
	return w.Stream.Close()
}

// loss returns why the wire is lost, or nil.
func (w *wire) loss() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// orderly waits until it is certain what the end of a channel meant, and returns nil for an
// orderly one, or else why the wire is lost.
func (w *wire) orderly() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.reading && w.lost == nil {
		w.changed.Wait()
	}
	return w.lost
}
