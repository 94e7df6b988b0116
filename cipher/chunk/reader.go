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

// maxStash is the maximum number of bytes of an incomplete chunk that are copied to
// separate memory while the peer is silent, so that no buffer is held for them.
const maxStash = 1 << 10

// Reader reads a stream of chunks from a wire. It may be used by one goroutine at a
// time. A read that ends by a deadline, even within a chunk, loses no data: the next
// read continues.
type Reader struct {
	use wire.Lock

	// Waits is called by Peek before each wait, if it is not nil; see core.Caller.
	Waits func(soFar []byte)

	wire   core.Stream
	box    Box
	max    int                 // largest payload of a chunk in bytes
	begin  func(*Reader) error // reads the headers before the first chunk; nil afterwards
	source *netio.Source
	buf    *netio.Buffer // holds the bytes read from the wire, or nil
	start  int           // buf.B[start:end] is unopened
	end    int
	stash  []byte // the unopened bytes while buf is nil
	length int    // of the next payload, or 0 if a sealed length is next
	plain  []byte // opened but unread; part of buf
	lent   bool   // buf holds the result of SkipFor until the next call
	err    error  // error of all further reads
}

// reset makes r usable. begin is called before the first chunk is read, and again if it
// failed because of a deadline; it uses Peek, Skip and Start.
func (r *Reader) reset(w core.Stream, begin func(*Reader) error) {
	r.wire, r.begin = w, begin
	r.source = netio.NewSource(w, r.layout, r.stow)
}

// Start sets how the following chunks are opened. length is the size of the first
// payload if it is known, otherwise 0.
func (r *Reader) Start(box Box, largest, length int) {
	r.box, r.max, r.length = box, largest, length
	if len(r.stash) > 0 { // the stash may contain complete chunks
		r.unstow()
	}
}

// Buffered returns the bytes that were read from the wire but not consumed.
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
	if r.buf == nil && buf != nil { // a new buffer: layout has copied the stash to its start
		r.start, r.end, r.stash = 0, len(r.stash), nil
	}
	r.buf = buf
	r.end += n
	if errors.Is(err, io.EOF) && (len(r.unopened()) > 0 || r.length > 0) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// grow moves the unopened bytes from a small buffer to a big one. It returns false if
// the buffer is big already.
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

// layout makes the room after the unopened bytes the only piece of b.
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

// stow releases the buffer before a wait if it holds at most maxStash bytes.
func (r *Reader) stow(*netio.Buffer) bool {
	rest := r.unopened()
	if len(rest) > maxStash {
		return false
	}
	r.stash = append([]byte(nil), rest...)
	r.buf = nil
	return true
}

// unstow borrows a buffer for the bytes that stow has kept.
func (r *Reader) unstow() {
	r.buf = netio.BorrowSmallBuffer()
	r.start, r.end, r.stash = 0, copy(r.buf.B, r.stash), nil
}

// release returns the buffer to the pool if it holds no more data.
func (r *Reader) release() {
	if r.buf != nil && r.start == r.end && len(r.plain) == 0 && !r.lent {
		r.buf.Return()
		r.buf = nil
	}
}

// next opens the next chunk in place if it is complete. Otherwise it returns nil and nil.
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

// CheckLength returns ErrMalformed unless n is a valid payload size: at least 1 and at
// most largest, which depends on the method. No bit of the length is masked.
func CheckLength(n, largest int) error {
	if n < 1 || n > largest {
		return core.Authenticated(fmt.Errorf("%w: chunk of %d bytes, want 1 to %d", core.ErrMalformed, n, largest))
	}
	return nil
}

// ready calls begin if it is still needed, and returns the error of the stream.
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

// fail ends the stream with err, unless err is a deadline.
func (r *Reader) fail(err error) error {
	if isTimeout(err) {
		return err
	}
	return r.stop(err)
}

// stop makes err the error of all further reads and releases the buffer.
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

// close releases the buffer. The wire must be closed first.
func (r *Reader) close() { r.use.Close(r.Discard) }

// Discard drops the bytes that were read and ends reading. It does not close the wire.
func (r *Reader) Discard() {
	r.lent = false
	if r.err == nil {
		_ = r.fail(net.ErrClosed)
	}
}
