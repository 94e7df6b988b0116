package chunk

import (
	"errors"
	"os"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// smallPiece is the size in bytes below which an opened payload is moved up to
// the one before it: a copy is cheaper than another entry in a vector.
const smallPiece = 2 << 10

// Read opens chunks into p.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.lock()
	defer r.unlock()
	if err := r.ready(); err != nil {
		return 0, err
	}
	n := 0
	for {
		k := copy(p[n:], r.plain)
		r.plain, n = r.plain[k:], n+k
		if n == len(p) {
			break
		}
		plain, err := r.next()
		switch {
		case err != nil:
			if r.fail(err); n > 0 { // what came before is good
				err = nil
			}
			return n, err
		case plain != nil:
			r.plain = plain
			continue
		case n > 0:
			r.release()
			return n, nil
		}
		if err := r.fill(); err != nil {
			return 0, r.fail(err)
		}
	}
	r.release()
	return n, nil
}

// WriteBurst opens every whole chunk of one large read where it stands and
// writes them to dst together. It implements core.BurstWriter.
func (r *Reader) WriteBurst(dst core.Stream) (int, error) {
	r.lock()
	defer r.unlock()
	if err := r.ready(); err != nil {
		return 0, err
	}
	for {
		err := r.openAll()
		if len(r.pieces()) == 0 {
			if err != nil {
				return 0, r.fail(err)
			}
			if err := r.fill(); err != nil {
				return 0, r.fail(err)
			}
			continue
		}
		n, werr := r.buf.WritePieces(dst)
		r.buf.Pieces = r.buf.Pieces[:0]
		switch {
		case werr != nil: // what dst did not take is lost, so the stream ends, by a deadline too
			return n, r.stop(werr)
		case err != nil:
			_ = r.fail(err) // for the next call
		}
		r.release()
		return n, nil
	}
}

// pieces returns what openAll has opened.
func (r *Reader) pieces() [][]byte {
	if r.buf == nil {
		return nil
	}
	return r.buf.Pieces
}

// openAll makes the opened bytes of all whole chunks that have been read the
// pieces of the buffer, as many as it has room for.
func (r *Reader) openAll() error {
	if r.buf == nil {
		return nil
	}
	b := r.buf
	b.Pieces = b.Pieces[:0]
	if len(r.plain) > 0 {
		b.Pieces = append(b.Pieces, r.plain)
		r.plain = nil
	}
	for len(b.Pieces) < cap(b.Pieces) {
		plain, err := r.next()
		if err != nil || plain == nil {
			return err
		}
		if last := len(b.Pieces) - 1; last >= 0 && len(plain) <= smallPiece {
			b.Pieces[last] = append(b.Pieces[last], plain...) // into bytes that have been opened
			continue
		}
		b.Pieces = append(b.Pieces, plain)
	}
	return nil
}

// WaitRead waits until Read has something, without a buffer where the wire can
// be waited on. It implements core.Waiter.
func (r *Reader) WaitRead() error {
	r.lock()
	defer r.unlock()
	if r.err != nil || len(r.plain) > 0 {
		return nil // Read tells
	}
	if r.begin == nil {
		plain, err := r.next()
		if err != nil {
			_ = r.fail(err)
		}
		if r.plain = plain; plain != nil || err != nil {
			return nil
		}
	}
	if !r.source.Waits() {
		err := r.fill()
		if err == nil || isTimeout(err) {
			return err
		}
		_ = r.fail(err)
		return nil // Read tells
	}
	if buf := r.buf; buf != nil && r.stow(buf) {
		buf.Return()
	}
	return netio.WaitReadable(r.wire)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
