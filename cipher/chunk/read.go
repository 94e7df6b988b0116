package chunk

import (
	"errors"
	"os"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// smallPiece is the size in bytes up to which an opened payload is moved next to the
// previous one: a copy is cheaper than another entry in a vector.
const smallPiece = 2 << 10

// Read reads from the stream; it opens chunks as needed.
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
			if r.fail(err); n > 0 { // the bytes before the error are valid
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

// WriteBurst reads once from the wire, opens every complete chunk in place and writes
// the payloads to dst in one call. It implements core.BurstWriter.
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
		case werr != nil: // bytes that dst did not accept are lost, so the stream ends, even for a deadline
			return n, r.stop(werr)
		case err != nil:
			_ = r.fail(err) // the next call returns err
		}
		r.release()
		return n, nil
	}
}

// pieces returns the payloads that openAll has opened.
func (r *Reader) pieces() [][]byte {
	if r.buf == nil {
		return nil
	}
	return r.buf.Pieces
}

// openAll opens all complete chunks in the buffer and makes their payloads the pieces of
// the buffer, up to the capacity of its piece list.
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
			b.Pieces[last] = append(b.Pieces[last], plain...) // overwrites ciphertext that has been opened
			continue
		}
		b.Pieces = append(b.Pieces, plain)
	}
	return nil
}

// WaitRead waits until Read can return without blocking. It holds no buffer if the wire
// supports waiting. It implements core.Waiter.
func (r *Reader) WaitRead() error {
	r.lock()
	defer r.unlock()
	if r.err != nil || len(r.plain) > 0 {
		return nil // Read returns the data or the error
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
		return nil // Read returns the error
	}
	if buf := r.buf; buf != nil && r.stow(buf) {
		buf.Return()
	}
	return netio.WaitReadable(r.wire)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
