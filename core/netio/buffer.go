package netio

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
)

const (
	// bigBuffer is the size of a big buffer: eight sealed chunks of 16 KiB, and the
	// salt and headers before the first one. Several chunks a system call make a
	// relay cheap; more than eight gain little.
	bigBuffer = 8*(16<<10+64) + 1024
	// smallBuffer is the size of a small buffer: one such chunk. A burst gets a small
	// buffer while as many big ones are borrowed as may be, so that slow readers can't
	// pin the machine's memory.
	smallBuffer = 16<<10 + 1024
	// maxBigBuffers and minBigBuffers are the bounds of BoundBuffers.
	maxBigBuffers = 256
	minBigBuffers = 4
	// maxPieces is the largest number of pieces of a Buffer.
	maxPieces = 16
)

// Buffer is memory for one burst. It is borrowed from a pool that all connections
// share, and returned before the borrower waits for a peer.
type Buffer struct {
	B []byte // the memory; never re-sliced

	// Pieces is scratch for the parts of B that one vectored read or write
	// uses. Its capacity is maxPieces.
	Pieces [][]byte

	pieces [maxPieces][]byte
	vec    net.Buffers // scratch of writev, which consumes the slices
	vecs   [maxPieces][]byte
	iov    vector
	big    bool
}

// The buffer pools are package-level because they hold no state that a connection
// could observe. All pipelines share them, which keeps memory small.
var (
	bigBuffers   = sync.Pool{New: func() any { return newBuffer(bigBuffer) }}
	smallBuffers = sync.Pool{New: func() any { return newBuffer(smallBuffer) }}
	bigMost      atomic.Int32 // how many big buffers may be borrowed at once; 0 means maxBigBuffers
	bigOut       atomic.Int32 // big buffers that are borrowed now
	smallOut     atomic.Int32 // small buffers that are borrowed now
)

func newBuffer(size int) *Buffer {
	b := &Buffer{B: make([]byte, size), big: size == bigBuffer}
	b.Pieces = b.pieces[:0]
	return b
}

// BoundBuffers bounds the memory of the big buffers that are borrowed at once. Whatever
// bytes is, they are at least 4 and at most 256 (32 MiB), and 256 if bytes is 0.
func BoundBuffers(bytes int64) {
	if bytes == 0 {
		bytes = maxBigBuffers * bigBuffer
	}
	bigMost.Store(int32(min(max(bytes/bigBuffer, minBigBuffers), maxBigBuffers)))
}

// BorrowBuffer returns a buffer for one burst: a big buffer, or a small one while as many
// big buffers are borrowed as BoundBuffers allows.
func BorrowBuffer() *Buffer {
	most := bigMost.Load()
	if most == 0 {
		most = maxBigBuffers
	}
	if bigOut.Add(1) > most {
		bigOut.Add(-1)
		return BorrowSmallBuffer()
	}
	return bigBuffers.Get().(*Buffer)
}

// BorrowBigBuffer returns a big buffer, whatever the number that is borrowed. It is
// for a message that has arrived in part and does not fit a small buffer.
func BorrowBigBuffer() *Buffer {
	bigOut.Add(1)
	return bigBuffers.Get().(*Buffer)
}

// BorrowSmallBuffer returns a buffer for one chunk of 16 KiB.
func BorrowSmallBuffer() *Buffer {
	smallOut.Add(1)
	return smallBuffers.Get().(*Buffer)
}

// BuffersOut returns the number of borrowed buffers. Tests use it to find leaks.
func BuffersOut() int { return int(bigOut.Load() + smallOut.Load()) }

// Return puts b back into its pool. The caller must not use b or b.B afterwards. On a
// nil b it does nothing.
func (b *Buffer) Return() {
	if b == nil {
		return
	}
	b.Pieces = b.pieces[:0]
	clear(b.pieces[:])
	if b.big {
		bigOut.Add(-1)
		bigBuffers.Put(b)
		return
	}
	smallOut.Add(-1)
	smallBuffers.Put(b)
}

// WritePieces writes b.Pieces to dst, in one call if dst supports vectored writes. It
// returns the number of bytes that dst accepted.
func (b *Buffer) WritePieces(dst core.Stream) (int, error) {
	if len(b.Pieces) == 1 {
		return dst.Write(b.Pieces[0])
	}
	dst = writeSide(dst)
	if tcp := Bare(dst); tcp != nil {
		b.vec = append(b.vecs[:0], b.Pieces...)
		n, err := b.vec.WriteTo(tcp)
		return int(n), err
	}
	return WriteVector(dst, b.Pieces)
}
