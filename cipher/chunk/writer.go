package chunk

import (
	"math/rand/v2"

	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	lengthSize = 2
	// minPiece is the minimum room for a payload for which another chunk is started in
	// a buffer.
	minPiece = 1 << 10
	// smallWrite is the maximum size that fits a small buffer with any framing.
	smallWrite = 8 << 10
	// maxInterrupt is the maximum payload of the chunk that interrupt begins.
	maxInterrupt = 1 << 10
)

// Head is the bytes before the payload of a stream's first chunk; later chunks have
// their sealed length there.
type Head struct {
	Size int // in bytes
	// Put writes the head of a first payload of length bytes to dst, of Size bytes.
	Put func(dst []byte, box *Box, length int)
}

// Writer writes a stream of bytes as sealed chunks to a wire. It may be used by one
// goroutine at a time.
type Writer struct {
	out    wire.Sender
	box    Box
	max    int  // largest payload of a chunk in bytes
	head   Head // of the first chunk; Put is nil afterwards
	src    core.Stream
	source *netio.Source // reads src
}

// reset makes w usable. head is the zero Head if the first chunk has been sent.
func (w *Writer) reset(to core.Stream, box Box, largest int, head Head) {
	w.out.Wire, w.box, w.max, w.head = to, box, largest, head
}

// headSize returns the number of bytes before the next payload of a chunk.
func (w *Writer) headSize() int {
	if w.head.Put != nil {
		return w.head.Size
	}
	return lengthSize + w.box.Overhead()
}

// room returns the maximum payload of a chunk that starts at off in a buffer of size
// bytes, with head bytes before the payload. It returns 0 if the room is too small for
// another chunk.
func (w *Writer) room(size, off, head int) int {
	n := min(w.max, size-off-head-w.box.Overhead())
	if n < min(minPiece, w.max) {
		return 0
	}
	return n
}

// seal writes a chunk with payload to b at off and returns the end of the chunk. payload
// may already be at its position in b, after the head.
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

// Write seals p. If it returns fewer than len(p), the stream has ended with the error.
func (w *Writer) Write(p []byte) (int, error) {
	return w.WriteVector([][]byte{p})
}

// WriteVector seals the pieces and writes them to the wire in as few calls as possible.
// It implements core.VectorWriter.
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

// ReadBurst reads from src directly into the payload positions of a row of chunks,
// seals them in place and writes them in one call. It implements core.BurstReader.
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

// layout makes the payload positions of as many chunks as fit the pieces of b.
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

// interrupt writes a part of a chunk, with everything before the payload and without its
// last byte, and closes the sending side of the wire. The lengths are random, so that they
// mark nothing.
func (w *Writer) interrupt() error {
	if w.out.Ready() == nil {
		payload := make([]byte, 1+rand.IntN(maxInterrupt))
		before := w.headSize()
		chunk := make([]byte, before+len(payload)+w.box.Overhead())
		end := w.seal(chunk, 0, payload)
		_ = w.out.Send(chunk[:before+rand.IntN(end-before)]) // CloseWrite returns what matters of the error
	}
	return w.CloseWrite()
}

// CloseWrite closes the sending side of the wire after the last chunk.
func (w *Writer) CloseWrite() error { return w.out.CloseWrite() }
