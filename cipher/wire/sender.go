package wire

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// errEnded is the error of writes after CloseWrite.
var errEnded = errors.New("write after CloseWrite")

// Sender writes encrypted bytes to a wire. A partial write ends it: the nonce or the
// keystream has advanced, so the peer could not decrypt what follows. A Sender may be
// used by one goroutine at a time, concurrently with one call of CloseWrite.
type Sender struct {
	Wire  core.Stream
	err   error       // the error of all further writes
	ended atomic.Bool // CloseWrite was called, perhaps during a write
}

// Ready returns the error of further writes, or nil.
func (s *Sender) Ready() error {
	if s.err == nil && s.ended.Load() {
		return errEnded
	}
	return s.err
}

// Send writes b, unless b is empty.
func (s *Sender) Send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := s.Wire.Write(b)
	return s.sent(n, len(b), err)
}

// SendPieces writes the pieces of b, which have size bytes in total, and returns the
// number of bytes written.
func (s *Sender) SendPieces(b *netio.Buffer, size int) (int, error) {
	n, err := b.WritePieces(s.Wire)
	return n, s.sent(n, size, err)
}

// sent handles the result of a write of n bytes out of size. An error ends the stream.
func (s *Sender) sent(n, size int, err error) error {
	if err == nil && n < size {
		err = io.ErrShortWrite
	}
	if err != nil {
		return s.Stop(err)
	}
	return nil
}

// Stop sets err as the error of all further writes, and returns err.
func (s *Sender) Stop(err error) error {
	s.err = err
	return err
}

// CloseWrite closes the sending side of the wire. Bytes that were sent are delivered.
func (s *Sender) CloseWrite() error {
	s.ended.Store(true)
	return s.Wire.CloseWrite()
}

// BorrowFor returns a buffer for a write of n bytes, a small one if n is at most small.
func BorrowFor(n, small int) *netio.Buffer {
	if n <= small {
		return netio.BorrowSmallBuffer()
	}
	return netio.BorrowBuffer()
}
