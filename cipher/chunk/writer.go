package chunk

import (
	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	lengthSize = 2
	// minPiece is the smallest room for a payload for which another chunk is
	// begun in a buffer.
	minPiece = 1 << 10
	// smallWrite is what fits a small buffer whatever the framing.
	smallWrite = 8 << 10
)

// Head is what stands before the payload of a stream's first chunk, where later
// chunks have their sealed length.
type Head struct {
	Size int // in bytes
	// Put fills dst, of Size bytes, for a first payload of length bytes.
	Put func(dst []byte, box *Box, length int)
}

// Writer seals a stream of bytes into chunks on a wire. One goroutine may use
// it at a time.
type Writer struct {
	out    wire.Sender
	box    Box
	max    int  // largest payload of a chunk in bytes
	head   Head // of the first chunk; Put is nil after it
	src    core.Stream
	source *netio.Source // reads src
}

// reset makes w ready. Head is the zero Head if the first chunk is out already.
func (w *Writer) reset(to core.Stream, box Box, largest int, head Head) {
	w.out.Wire, w.box, w.max, w.head = to, box, largest, head
}

// headSize returns the size of what stands before the next payload.
func (w *Writer) headSize() int {
	if w.head.Put != nil {
		return w.head.Size
	}
	return lengthSize + w.box.Overhead()
}

// room returns the largest payload of a chunk that begins at off in a buffer
// of size bytes and has head bytes before its payload, or 0 if another chunk
// there is not worth it.
func (w *Writer) room(size, off, head int) int {
	n := min(w.max, size-off-head-w.box.Overhead())
	if n < min(minPiece, w.max) {
		return 0
	}
	return n
}

// seal puts a chunk with payload at off and returns its end. The payload may
// stand already where it belongs, behind the head.
func (w *Writer) seal(b []byte, off int, payload []byte) int {
	if w.head.Put == nil {
		return w.box.SealChunk(b, off, payload)
	}
	head := b[off : off+w.head.Size]
	w.head.Put(head, &w.box, len(payload))
	w.head = Head{}
	off += len(head)
	return off + len(w.box.Seal(b[off:off], payload))
}

// Write seals p. It returns len(p), or fewer and an error that ends the stream.
func (w *Writer) Write(p []byte) (int, error) {
	return w.WriteVector([][]byte{p})
}

// WriteVector seals the pieces, as few writes to the wire as fit. It implements
// core.VectorWriter.
func (w *Writer) WriteVector(pieces [][]byte) (int, error) {
	if err := w.out.Ready(); err != nil {
		return 0, err
	}
	total := 0
	for _, p := range pieces {
		total += len(p)
	}
	buf := wire.BorrowFor(total, smallWrite)
	defer buf.Return()
	done, end, sealed := 0, 0, 0
	for _, p := range pieces {
		for len(p) > 0 {
			n := min(len(p), w.room(len(buf.B), end, w.headSize()))
			if n == 0 {
				if err := w.out.Send(buf.B[:end]); err != nil {
					return done, err
				}
				done, end, sealed = done+sealed, 0, 0
				continue
			}
			end = w.seal(buf.B, end, p[:n])
			p, sealed = p[n:], sealed+n
		}
	}
	if err := w.out.Send(buf.B[:end]); err != nil {
		return done, err
	}
	return done + sealed, nil
}

// ReadBurst reads what src has straight into the payloads of a row of chunks,
// seals them where they stand and writes them at once. It implements
// core.BurstReader.
func (w *Writer) ReadBurst(src core.Stream) (int, error) {
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
	end, left := 0, n
	for _, p := range buf.Pieces {
		p = p[:min(len(p), left)]
		end = w.seal(buf.B, end, p)
		if left -= len(p); left == 0 {
			break
		}
	}
	if err := w.out.Send(buf.B[:end]); err != nil {
		return 0, err
	}
	return n, nil
}

// layout makes the payloads of as many chunks as fit the pieces of b.
func (w *Writer) layout(b *netio.Buffer) {
	b.Pieces = b.Pieces[:0]
	size, tag, off := w.headSize(), w.box.Overhead(), 0
	for len(b.Pieces) < cap(b.Pieces) {
		n := w.room(len(b.B), off, size)
		if n == 0 {
			return
		}
		b.Pieces = append(b.Pieces, b.B[off+size:off+size+n])
		off += size + n + tag
		size = lengthSize + tag
	}
}

// CloseWrite ends the stream after the last chunk.
func (w *Writer) CloseWrite() error { return w.out.CloseWrite() }
