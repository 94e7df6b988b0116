package stream

import (
	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// smallWrite is the maximum size that fits a small buffer after an IV.
const smallWrite = 16 << 10

// writer encrypts a stream of bytes to a wire. It may be used by one goroutine at a time.
type writer struct {
	out    wire.Sender
	keys   keystream
	head   []byte // the IV, until it has been sent
	src    core.Stream
	source *netio.Source // reads src
}

// Write encrypts p. If it returns fewer than len(p), the stream has ended with the error.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.out.Ready(); err != nil {
		return 0, err
	}
	buf := wire.BorrowFor(len(p), smallWrite)
	defer buf.Return()
	done := 0
	for done < len(p) {
		from := copy(buf.B, w.head)
		n := min(len(p)-done, len(buf.B)-from)
		if err := w.keys.apply(buf.B[from:from+n], p[done:done+n]); err != nil {
			return done, w.out.Stop(err)
		}
		if err := w.flush(buf.B[:from+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// flush writes encrypted bytes, which start with the head if it has not been sent.
func (w *writer) flush(b []byte) error {
	err := w.out.Send(b)
	if err == nil {
		w.head = nil
	}
	return err
}

// WriteVector encrypts the pieces in place and writes them in one call. It
// implements core.VectorWriter.
func (w *writer) WriteVector(pieces [][]byte) (int, error) {
	if err := w.out.Ready(); err != nil {
		return 0, err
	}
	buf := netio.BorrowSmallBuffer() // for its scratch memory
	defer buf.Return()
	done := 0
	for len(pieces) > 0 {
		head, size := len(w.head), len(w.head)
		buf.Pieces = buf.Pieces[:0]
		if head > 0 {
			buf.Pieces = append(buf.Pieces, w.head)
		}
		for len(pieces) > 0 && len(buf.Pieces) < cap(buf.Pieces) {
			p := pieces[0]
			if err := w.keys.apply(p, p); err != nil {
				return done, w.out.Stop(err)
			}
			pieces, size = pieces[1:], size+len(p)
			buf.Pieces = append(buf.Pieces, p)
		}
		n, err := w.out.SendPieces(buf, size)
		if err != nil {
			return done + max(0, n-head), err
		}
		w.head = nil
		done += size - head
	}
	return done, nil
}

// ReadBurst reads once from src, encrypts in place and writes in one call.
// It implements core.BurstReader.
func (w *writer) ReadBurst(src core.Stream) (int, error) {
	if err := w.out.Ready(); err != nil {
		return 0, err
	}
	if w.src != src {
		w.src, w.source = src, netio.NewSource(src, w.layout, nil)
	}
	buf, n, err := w.source.Fill(nil)
	if err != nil {
		return 0, err
	}
	defer buf.Return()
	from := copy(buf.B, w.head)
	b := buf.B[from : from+n]
	if err := w.keys.apply(b, b); err != nil {
		return 0, w.out.Stop(err)
	}
	if err := w.flush(buf.B[:from+n]); err != nil {
		return 0, err
	}
	return n, nil
}

// layout makes all of b after the room for the head a single piece.
func (w *writer) layout(b *netio.Buffer) { b.Pieces = append(b.Pieces[:0], b.B[len(w.head):]) }

// CloseWrite closes the sending side of the wire.
func (w *writer) CloseWrite() error { return w.out.CloseWrite() }
