package stream

import (
	"errors"
	"io"
	"net"
	"os"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// reader decrypts what comes on a wire. One goroutine may use it at a time. A
// read that ends by a deadline loses nothing.
type reader struct {
	use wire.Lock

	cipher *Cipher
	wire   core.Stream
	source *netio.Source
	keys   keystream
	begun  bool                 // keys are there
	iv     [replay.MaxSalt]byte // what has come of it before that
	ivSize int                  // bytes of that
	buf    *netio.Buffer        // holds plain, or nil
	plain  []byte               // decrypted, not yet read; in buf
	err    error                // ends the stream
}

// reset makes r ready to read an IV first, if the method has one.
func (r *reader) reset(w core.Stream, c *Cipher) {
	r.cipher, r.wire = c, w
	r.source = netio.NewSource(w, wholeBuffer, nil)
}

// wholeBuffer makes all of a buffer one piece.
func wholeBuffer(b *netio.Buffer) { b.Pieces = append(b.Pieces[:0], b.B) }

// Read decrypts into p. Behind the IV it reads straight into it.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.use.Lock()
	defer r.unlock()
	for r.err == nil && len(r.plain) == 0 {
		if r.begun {
			return r.readInto(p)
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	n := copy(p, r.plain)
	if r.plain = r.plain[n:]; len(r.plain) == 0 {
		r.release()
	}
	return n, nil
}

// readInto reads once and decrypts in place. An error that comes with bytes comes
// again.
func (r *reader) readInto(p []byte) (int, error) {
	n, err := r.wire.Read(p)
	if n == 0 {
		return 0, r.fail(err)
	}
	if err := r.keys.apply(p[:n], p[:n]); err != nil {
		return 0, r.fail(err)
	}
	return n, nil
}

// WriteBurst reads once, decrypts in place and writes to dst. It implements
// core.BurstWriter.
func (r *reader) WriteBurst(dst core.Stream) (int, error) {
	r.use.Lock()
	defer r.unlock()
	for r.err == nil && len(r.plain) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := dst.Write(r.plain)
	r.release()
	if err != nil { // what dst did not take is lost, so the stream ends, by a deadline too
		return n, r.stop(err)
	}
	return n, nil
}

// WaitRead waits until Read has something, without a buffer where the wire can
// be waited on. It implements core.Waiter.
func (r *reader) WaitRead() error {
	r.use.Lock()
	defer r.unlock()
	if r.err != nil || len(r.plain) > 0 {
		return nil // Read tells
	}
	if r.source.Waits() {
		return netio.WaitReadable(r.wire)
	}
	if err := r.fill(); errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil // Read tells
}

// fill reads once and decrypts what is behind the IV, which may be nothing yet.
func (r *reader) fill() error {
	buf, n, err := r.source.Fill(nil)
	if err != nil {
		return r.fail(err)
	}
	b, err := r.begin(buf.B[:n])
	if err == nil {
		err = r.keys.apply(b, b)
	}
	if err != nil || len(b) == 0 {
		buf.Return()
		return r.fail(err)
	}
	r.buf, r.plain = buf, b
	return nil
}

// begin takes what belongs to the IV off the beginning of b and returns the rest.
func (r *reader) begin(b []byte) ([]byte, error) {
	if r.begun {
		return b, nil
	}
	n := copy(r.iv[r.ivSize:r.cipher.spec.IVSize], b)
	if r.ivSize += n; r.ivSize < r.cipher.spec.IVSize {
		return nil, nil
	}
	var err error
	r.keys, err = r.cipher.begin(r.iv[:r.ivSize], Decrypt)
	r.begun = err == nil
	return b[n:], err
}

// fail ends the stream with err, unless that is a deadline.
func (r *reader) fail(err error) error {
	switch {
	case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, io.EOF) && !r.begun && r.ivSize > 0:
		err = io.ErrUnexpectedEOF
	}
	return r.stop(err)
}

// stop makes err the stream's end and gives up the buffer.
func (r *reader) stop(err error) error {
	r.err = err
	r.release()
	return err
}

// release gives up the buffer.
func (r *reader) release() {
	r.buf.Return()
	r.buf, r.plain = nil, nil
}

func (r *reader) unlock() { r.use.Unlock(r.discard) }

// close gives up the buffer. The wire has been closed before.
func (r *reader) close() { r.use.Close(r.discard) }

// discard gives up what has been read; the stream can't be read after it.
func (r *reader) discard() {
	if r.err == nil {
		_ = r.stop(net.ErrClosed)
	}
}
