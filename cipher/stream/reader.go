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

// reader decrypts the bytes of a wire. It may be used by one goroutine at a time. A read
// that ends by a deadline loses no data.
type reader struct {
	use wire.Lock

	cipher *Cipher
	wire   core.Stream
	source *netio.Source
	keys   keystream
	begun  bool                 // keys is set
	iv     [replay.MaxSalt]byte // the bytes of the IV received so far
	ivSize int                  // number of bytes in iv
	buf    *netio.Buffer        // holds plain, or nil
	plain  []byte               // decrypted but unread; part of buf
	err    error                // error of all further reads
}

// reset prepares r to read an IV first, if the method has one.
func (r *reader) reset(w core.Stream, c *Cipher) {
	r.cipher, r.wire = c, w
	r.source = netio.NewSource(w, wholeBuffer, nil)
}

// wholeBuffer makes all of a buffer a single piece.
func wholeBuffer(b *netio.Buffer) { b.Pieces = append(b.Pieces[:0], b.B) }

// Read decrypts into p. After the IV it reads from the wire directly into p.
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

// readInto reads once and decrypts in place. The wire returns an error that comes with
// bytes again at the next read.
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

// WriteBurst reads once, decrypts in place and writes the result to dst. It implements
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
	if err != nil { // bytes that dst did not accept are lost, so the stream ends, even for a deadline
		return n, r.stop(err)
	}
	return n, nil
}

// WaitRead waits until Read can return without blocking. It holds no buffer if the wire
// supports waiting. It implements core.Waiter.
func (r *reader) WaitRead() error {
	r.use.Lock()
	defer r.unlock()
	if r.err != nil || len(r.plain) > 0 {
		return nil // Read returns the data or the error
	}
	if r.source.Waits() {
		return netio.WaitReadable(r.wire)
	}
	if err := r.fill(); errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil // Read returns the data or the error
}

// fill reads once and decrypts the bytes after the IV, of which there may be none.
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

// begin removes the bytes of the IV from the start of b and returns the rest.
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

// fail ends the stream with err, unless err is a deadline.
func (r *reader) fail(err error) error {
	switch {
	case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, io.EOF) && !r.begun && r.ivSize > 0:
		err = io.ErrUnexpectedEOF
	}
	return r.stop(err)
}

// stop makes err the error of all further reads and releases the buffer.
func (r *reader) stop(err error) error {
	r.err = err
	r.release()
	return err
}

// release returns the buffer to the pool.
func (r *reader) release() {
	r.buf.Return()
	r.buf, r.plain = nil, nil
}

func (r *reader) unlock() { r.use.Unlock(r.discard) }

// close releases the buffer. The wire must be closed first.
func (r *reader) close() { r.use.Close(r.discard) }

// discard drops the bytes that were read and ends reading.
func (r *reader) discard() {
	if r.err == nil {
		_ = r.stop(net.ErrClosed)
	}
}
