package chunk

import (
	"time"

	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
)

// Stream is a wire with chunks in both directions. It owns the wire. The relay uses it
// as a core.BurstReader, core.BurstWriter and core.VectorWriter.
type Stream struct {
	Reader
	Writer
	wire.Conn
}

var (
	_ core.Stream       = (*Stream)(nil)
	_ core.BurstReader  = (*Stream)(nil)
	_ core.BurstWriter  = (*Stream)(nil)
	_ core.VectorWriter = (*Stream)(nil)
	_ core.Waiter       = (*Stream)(nil)
)

// NewStream returns a Stream over a wire, which can neither read nor write yet. begin is
// called before the first chunk is read; it reads the headers with Peek and Skip, and
// calls Start. It may be called again after a deadline. begin is nil if the caller calls
// Start itself.
func NewStream(w core.Stream, begin func(*Reader) error) *Stream {
	s := &Stream{Conn: wire.Over(w)}
	s.Reader.reset(w, begin)
	return s
}

// StartWrite sets how the following chunks are sealed. head is the zero Head if the
// first chunk has been sent.
func (s *Stream) StartWrite(box Box, largest int, head Head) {
	s.Writer.reset(s.Reader.wire, box, largest, head)
}

// Close closes the wire.
func (s *Stream) Close() error {
	err := s.Reader.wire.Close()
	s.Reader.close()
	return err
}

// Served is a Stream that a server accepted. It hides from the client that bytes of the
// stream were invalid; see core.Absorber.
type Served struct {
	*Stream
	Patience time.Duration // maximum duration of Absorb
}

var (
	_ core.Absorber    = Served{}
	_ core.Interrupter = Served{}
)

// Absorb reads and discards the bytes of the wire until Patience has passed.
func (s Served) Absorb() {
	_ = s.SetDeadline(time.Now().Add(s.Patience))
	ending.Drain(s.Reader.wire)
}

// Interrupt sends a part of a chunk and closes the sending side of the wire. The client
// sees a stream that ends inside a message. An observer sees a few more bytes of noise
// and an orderly end.
func (s Served) Interrupt() error { return s.Writer.interrupt() }
