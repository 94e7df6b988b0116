package chunk

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// maxStash is the most bytes of an unfinished chunk that are kept in memory of
// their own while the peer is silent, so that no buffer is held for them.
const maxStash = 1 << 10

// Reader opens a stream of chunks on a wire. One goroutine may use it at a
// time. A read that ends by a deadline, even in the middle of a chunk, loses
// nothing: the next one goes on.
type Reader struct {
	use wire.Lock

	// Waits is called by Peek before each wait, if it is not nil; see core.Caller.
	Waits func(soFar []byte)

	wire   core.Stream
	box    Box
	max    int                 // largest payload of a chunk in bytes
	begin  func(*Reader) error // reads what stands before the first chunk; nil after it
	source *netio.Source
	buf    *netio.Buffer // holds what has been read, or nil
	start  int           // buf.B[start:end] is not opened yet
	end    int
	stash  []byte // the same, while buf is nil
	length int    // of the payload that comes next, or 0 if its length comes next
	plain  []byte // opened but not yet read; in buf
	lent   bool   // buf holds bytes that SkipFor lent out until the next call
	err    error  // ends the stream
}

// reset makes r ready. begin is called before the first chunk is read, again if
// it fails by a deadline; it uses Peek, Skip and Start.
func (r *Reader) reset(w core.Stream, begin func(*Reader) error) {
	r.wire, r.begin = w, begin
	r.source = netio.NewSource(w, r.layout, r.stow)
}

// Start tells how chunks are opened from here on. length is that of the first
// payload, if it is known already, or 0.
func (r *Reader) Start(box Box, largest, length int) {
	r.box, r.max, r.length = box, largest, length
	if len(r.stash) > 0 { // it may have whole chunks
		r.unstow()
	}
}

// Buffered returns what was read but not taken.
func (r *Reader) Buffered() []byte { return r.unopened() }

func (r *Reader) unopened() []byte {
	if r.buf == nil {
		return r.stash
	}
	return r.buf.B[r.start:r.end]
}

// fill reads once from the wire.
func (r *Reader) fill() error {
	if r.buf != nil && r.end-r.start == len(r.buf.B) && !r.grow() {
		return fmt.Errorf("%w: a message of over %d bytes", core.ErrMalformed, len(r.buf.B))
	}
	buf, n, err := r.source.Fill(r.buf)
	if r.buf == nil && buf != nil { // a fresh one: layout has put the stash first
		r.start, r.end, r.stash = 0, len(r.stash), nil
	}
	r.buf = buf
	r.end += n
	if errors.Is(err, io.EOF) && (len(r.unopened()) > 0 || r.length > 0) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// grow moves what is not opened yet from a small buffer to a big one. It reports
// false if the buffer is a big one already.
func (r *Reader) grow() bool {
	big := netio.BorrowBigBuffer()
	if len(big.B) <= len(r.buf.B) {
		big.Return()
		return false
	}
	r.start, r.end = 0, copy(big.B, r.unopened())
	r.buf.Return()
	r.buf = big
	return true
}

// layout makes the room behind what is not opened yet the one piece of b.
func (r *Reader) layout(b *netio.Buffer) {
	from := 0
	if b == r.buf {
		if r.start > 0 {
			copy(b.B, b.B[r.start:r.end])
			r.start, r.end = 0, r.end-r.start
		}
		from = r.end
	} else {
		from = copy(b.B, r.stash)
	}
	b.Pieces = append(b.Pieces[:0], b.B[from:])
}

// stow gives up the buffer before a wait if what it holds is little.
func (r *Reader) stow(*netio.Buffer) bool {
	rest := r.unopened()
	if len(rest) > maxStash {
		return false
	}
	r.stash = append([]byte(nil), rest...)
	r.buf = nil
	return true
}

// unstow takes a buffer for what stow has kept.
func (r *Reader) unstow() {
	r.buf = netio.BorrowSmallBuffer()
	r.start, r.end, r.stash = 0, copy(r.buf.B, r.stash), nil
}

// release gives up a buffer that holds nothing more.
func (r *Reader) release() {
	if r.buf != nil && r.start == r.end && len(r.plain) == 0 && !r.lent {
		r.buf.Return()
		r.buf = nil
	}
}

// next opens the next chunk where it stands, if all of it has been read. It
// returns nil and nil if not.
func (r *Reader) next() ([]byte, error) {
	tag := r.box.Overhead()
	if r.buf == nil {
		need := lengthSize
		if r.length > 0 {
			need = r.length
		}
		if len(r.stash) < need+tag {
			return nil, nil
		}
		r.unstow()
	}
	if r.length == 0 {
		head := r.unopened()
		if len(head) < lengthSize+tag {
			return nil, nil
		}
		n, err := r.box.OpenLength(head[:0], head[:lengthSize+tag])
		if err == nil {
			err = CheckLength(n, r.max)
		}
		if err != nil {
			return nil, err
		}
		r.start += lengthSize + tag
		r.length = n
	}
	body := r.unopened()
	if len(body) < r.length+tag {
		return nil, nil
	}
	plain, err := r.box.OpenPayload(body[:0], body[:r.length+tag])
	if err != nil {
		return nil, err
	}
	r.start += r.length + tag
	r.length = 0
	return plain, nil
}

// CheckLength returns ErrMalformed if no chunk may have a payload of n bytes:
// none is empty, and the method gives the largest. No bit is masked.
func CheckLength(n, largest int) error {
	if n < 1 || n > largest {
		return core.Authenticated(fmt.Errorf("%w: chunk of %d bytes, want 1 to %d", core.ErrMalformed, n, largest))
	}
	return nil
}

// ready makes the reader start and returns the stream's error, if it has one.
func (r *Reader) ready() error {
	if r.err != nil || r.begin == nil {
		return r.err
	}
	if err := r.begin(r); err != nil {
		return r.fail(err)
	}
	r.begin = nil
	return nil
}

// fail ends the stream with err, unless that is a deadline.
func (r *Reader) fail(err error) error {
	if isTimeout(err) {
		return err
	}
	return r.stop(err)
}

// stop makes err the stream's end and gives up the buffer.
func (r *Reader) stop(err error) error {
	r.err = err
	r.plain, r.start, r.end, r.stash = nil, 0, 0, nil
	r.release()
	return err
}

func (r *Reader) lock() {
	r.use.Lock()
	if r.lent {
		r.lent = false
		r.release()
	}
}

func (r *Reader) unlock() { r.use.Unlock(r.Discard) }

// close gives up the buffer. The wire has been closed before.
func (r *Reader) close() { r.use.Close(r.Discard) }

// Discard gives up what has been read; the stream can't be read after it. It
// leaves the wire alone.
func (r *Reader) Discard() {
	r.lent = false
	if r.err == nil {
		_ = r.fail(net.ErrClosed)
	}
}
