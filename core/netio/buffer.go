package netio

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
)

const (
	// bigBuffer holds eight sealed chunks of 16 KiB with room for the first
	// one's salt and headers: several chunks a system call are what makes a
	// relay cheap, and more than this gains little.
	bigBuffer = 8*(16<<10+64) + 1024
	// smallBuffer holds one such chunk. It is what a burst gets while many
	// buffers are out, so that slow readers can't pin the machine's memory.
	smallBuffer = 16<<10 + 1024
	// maxBigBuffers bounds the big buffers that are out at once: 32 MiB.
	maxBigBuffers = 256
	// maxPieces is the most pieces of a Buffer.
	maxPieces = 16
)

// Buffer is memory for one burst, borrowed from a pool that all connections
// share and returned before waiting.
type Buffer struct {
	B []byte // its memory; never re-sliced

	// Pieces is scratch for the parts of B that one vectored read or write
	// uses. It has room for all the parts that a burst makes.
	Pieces [][]byte

	pieces [maxPieces][]byte
	vec    net.Buffers // scratch of writev, which eats its slices
	vecs   [maxPieces][]byte
	iov    vector
	big    bool
}

// The pools are the one package-level state of core: they hold no meaning, and
// sharing them between all pipelines is what keeps memory small.
var (
	bigBuffers   = sync.Pool{New: func() any { return newBuffer(bigBuffer) }}
	smallBuffers = sync.Pool{New: func() any { return newBuffer(smallBuffer) }}
	bigOut       atomic.Int32 // big buffers that are borrowed now
	smallOut     atomic.Int32 // small ones
)

func newBuffer(size int) *Buffer {
	b := &Buffer{B: make([]byte, size), big: size == bigBuffer}
	b.Pieces = b.pieces[:0]
	return b
}

// BorrowBuffer returns a buffer for one burst: a big one, or, while very many
// of those are out, a small one.
func BorrowBuffer() *Buffer {
	if bigOut.Add(1) > maxBigBuffers {
		bigOut.Add(-1)
		return BorrowSmallBuffer()
	}
	return bigBuffers.Get().(*Buffer)
}

// BorrowBigBuffer returns a big buffer even while very many are out. It is for a
// message that has come in part and fits no small one.
func BorrowBigBuffer() *Buffer {
	bigOut.Add(1)
	return bigBuffers.Get().(*Buffer)
}

// BorrowSmallBuffer returns a buffer for one chunk of 16 KiB.
func BorrowSmallBuffer() *Buffer {
	smallOut.Add(1)
	return smallBuffers.Get().(*Buffer)
}

// BuffersOut returns how many buffers are borrowed now. Tests ask it whether all
// came back.
func BuffersOut() int { return int(bigOut.Load() + smallOut.Load()) }

// Return gives b back. Nothing may use b or its memory after it. Returning nil
// does nothing.
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

// WritePieces writes b.Pieces to dst, in one call where dst can take them so.
// It returns the count of bytes that dst took.
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
