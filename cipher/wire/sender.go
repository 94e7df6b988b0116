package wire

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// errEnded is what writes return after CloseWrite.
var errEnded = errors.New("write after CloseWrite")

// Sender writes encrypted bytes to a wire. A write that stops in the middle ends it:
// the nonce or the keystream has moved on, so the peer could not decrypt what follows.
// One goroutine may use it at a time, beside one that calls CloseWrite.
type Sender struct {
	Wire  core.Stream
	err   error       // ends all writing
	ended atomic.Bool // CloseWrite was called, perhaps during a write
}

// Ready returns why nothing more can be written, or nil.
func (s *Sender) Ready() error {
	if s.err == nil && s.ended.Load() {
		return errEnded
	}
	return s.err
}

// Send writes all of b, if there is any.
func (s *Sender) Send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := s.Wire.Write(b)
	return s.sent(n, len(b), err)
}

// SendPieces writes the pieces of b, which have size bytes together, and returns how
// many were written.
func (s *Sender) SendPieces(b *netio.Buffer, size int) (int, error) {
	n, err := b.WritePieces(s.Wire)
	return n, s.sent(n, size, err)
}

// sent returns the error of a write of n bytes out of size, which ends the stream.
func (s *Sender) sent(n, size int, err error) error {
	if err == nil && n < size {
		err = io.ErrShortWrite
	}
	if err != nil {
		return s.Stop(err)
	}
	return nil
}

// Stop makes err the end of all writing, and returns it.
func (s *Sender) Stop(err error) error {
	s.err = err
	return err
}

// CloseWrite ends the stream after what has been sent.
func (s *Sender) CloseWrite() error {
	s.ended.Store(true)
	return s.Wire.CloseWrite()
}

// BorrowFor returns a buffer for a write of n bytes: a small one if n is at most small.
func BorrowFor(n, small int) *netio.Buffer {
	if n <= small {
		return netio.BorrowSmallBuffer()
	}
	return netio.BorrowBuffer()
}
