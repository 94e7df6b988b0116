package chunk

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/umbra-proxy/umbra/core"
)

// Peek waits until n bytes of the wire have arrived and returns them without consuming
// them. They are valid until the next call. It returns io.EOF if the wire ends before
// the first byte, and io.ErrUnexpectedEOF if it ends later.
func (r *Reader) Peek(n int) ([]byte, error) {
	for {
		if b := r.unopened(); len(b) >= n {
			return b[:n], nil
		}
		if r.Waits != nil {
			r.Waits(r.unopened())
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// Await is Peek for a server that waits for n bytes of a request: it returns an ErrShort
// if the client closed the connection or the deadline passed before n bytes had arrived.
func (r *Reader) Await(n int) ([]byte, error) {
	b, err := r.Peek(n)
	return b, r.short(n, err)
}

// short adds the number of bytes that had arrived to the error of a short read.
func (r *Reader) short(n int, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %d, want %d or more", core.ErrShort, len(r.Buffered()), n)
	}
	return err
}

// ReleaseBuffer returns the buffer to the pool if few bytes are unread, while the caller
// waits for something other than the wire. It invalidates the result of Peek.
func (r *Reader) ReleaseBuffer() {
	if buf := r.buf; buf != nil && r.stow(buf) {
		buf.Return()
	}
}

// Skip consumes n bytes that Peek returned.
func (r *Reader) Skip(n int) {
	if r.buf == nil {
		r.stash = r.stash[n:]
		return
	}
	r.start += n
	r.release()
}

// SkipFor consumes n bytes that Peek returned and uses their memory for a copy of
// payload, which must not be longer. The copy is valid until the stream is read or
// closed. A small payload without bytes after it is copied to newly allocated memory, so
// that no buffer is held while the target is dialled.
func (r *Reader) SkipFor(n int, payload []byte) []byte {
	if r.buf == nil || len(payload) <= maxStash && r.end-r.start == n {
		kept := append([]byte(nil), payload...)
		r.Skip(n)
		return kept
	}
	kept := r.buf.B[r.start : r.start+copy(r.buf.B[r.start:r.start+n], payload)]
	r.start += n
	r.lent = true
	return kept
}
