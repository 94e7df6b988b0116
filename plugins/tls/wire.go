package tls

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// errTruncated replaces io.EOF at the end of the wire. crypto/tls would treat io.EOF
// between two records as an orderly end even without close_notify, so an attacker who
// can send a FIN could truncate a stream unnoticed.
var errTruncated = errors.New("the wire ended without close_notify")

// wouldWait reports that a record is incomplete. It is a temporary net.Error, after
// which crypto/tls continues the record on the next read, as after a timeout.
type wouldWait struct{}

func (wouldWait) Error() string   { return "would wait" }
func (wouldWait) Timeout() bool   { return true }
func (wouldWait) Temporary() bool { return true }

// wire is the connection that crypto/tls reads and writes.
type wire struct {
	core.Stream

	noWait bool // Read returns wouldWait; used by the reading goroutine only

	mu  sync.Mutex
	out *netio.Buffer // guarded by mu; collects records, or nil
	n   int           // guarded by mu; bytes in out
	err error         // guarded by mu; the result of all later writes
}

// Read reads directly into the buffer of crypto/tls, up to 32 KiB a call. Reading
// 128 KiB into a separate buffer first took a third of the system calls but, with one
// more copy, the same CPU time.
func (w *wire) Read(p []byte) (int, error) {
	if w.noWait {
		return 0, wouldWait{}
	}
	n, err := w.Stream.Read(p)
	if err == io.EOF {
		err = errTruncated
	}
	return n, err
}

// Write writes one record. Between collect and flush it only buffers the record.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out != nil && len(p) > len(w.out.B)-w.n {
		w.send(w.out.B[:w.n])
		w.n = 0
	}
	switch {
	case w.err != nil:
	case w.out != nil && len(p) <= len(w.out.B)-w.n:
		w.n += copy(w.out.B[w.n:], p)
	default:
		w.send(p)
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// send writes p. After an error it is unknown which bytes the peer has received, so all
// later writes return that error. The caller holds w.mu.
func (w *wire) send(p []byte) {
	if w.err == nil && len(p) > 0 {
		_, w.err = w.Stream.Write(p)
	}
}

// collect buffers records until flush. crypto/tls writes each record by itself,
// up to 16 KiB and at first about 1 KiB; sending them together took a fifth of
// the CPU time off a bulk transfer.
func (w *wire) collect() {
	out := netio.BorrowBuffer()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = out
}

// flush sends the collected records.
func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.send(w.out.B[:w.n])
	w.out.Return()
	w.out, w.n = nil, 0
	return w.err
}

// end makes all later writes fail with err, such as the answer to a key update
// that arrives after our close_notify.
func (w *wire) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// SetWriteDeadline does nothing. crypto/tls calls it only to bound its
// close_notify by a time of its own, and would spoil the deadline that the
// stream's user has set.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
