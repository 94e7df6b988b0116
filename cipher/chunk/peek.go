package chunk

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/umbra-proxy/umbra/core"
)

// Peek waits until n bytes of the wire have come and returns them, without
// taking them. They stay valid until the next call. It returns io.EOF if the
// wire ends before the first byte, io.ErrUnexpectedEOF if it ends later.
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

// Await is Peek for a server that waits for n bytes of a request: it returns an
// ErrShort if its client ended before, or was too slow.
func (r *Reader) Await(n int) ([]byte, error) {
	b, err := r.Peek(n)
	return b, r.short(n, err)
}

// short says of a read that ended too soon how many bytes had come.
func (r *Reader) short(n int, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %d, want %d or more", core.ErrShort, len(r.Buffered()), n)
	}
	return err
}

// Rest gives up the buffer while whoever reads waits for something else than the
// wire, if little has been read: what Peek returned is not valid any more.
func (r *Reader) Rest() {
	if buf := r.buf; buf != nil && r.stow(buf) {
		buf.Return()
	}
}

// Skip takes n bytes that Peek returned.
func (r *Reader) Skip(n int) {
	if r.buf == nil {
		r.stash = r.stash[n:]
		return
	}
	r.start += n
	r.release()
}

// SkipFor takes n bytes that Peek returned and gives the memory that they took
// to payload, which is no longer: it returns a copy that stays valid until the
// stream is read or closed. A small payload with nothing behind it gets memory
// of its own, so that no buffer is held while its target is dialled.
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
