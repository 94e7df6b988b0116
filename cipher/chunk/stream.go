package chunk

import (
	"net"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
)

// Stream is a wire with chunks both ways. It owns the wire, and is for the
// relay what core calls a burst reader, a burst writer and a vector writer.
type Stream struct {
	Reader
	Writer
	wire core.Stream
}

var (
	_ core.Stream       = (*Stream)(nil)
	_ core.BurstReader  = (*Stream)(nil)
	_ core.BurstWriter  = (*Stream)(nil)
	_ core.VectorWriter = (*Stream)(nil)
	_ core.Waiter       = (*Stream)(nil)
)

// NewStream returns a Stream over wire that neither reads nor writes yet. begin
// is called before the first chunk is read; it finds out how, by Peek, and calls
// Start and Skip. It may be called again after a deadline. It is nil if the
// caller does that.
func NewStream(wire core.Stream, begin func(*Reader) error) *Stream {
	s := &Stream{wire: wire}
	s.Reader.reset(wire, begin)
	return s
}

// StartWrite tells how chunks are sealed from here on. head is the zero Head if
// the first chunk has been sent.
func (s *Stream) StartWrite(box Box, largest int, head Head) {
	s.Writer.reset(s.wire, box, largest, head)
}

// NetConn returns the wire. It is for socket options: bytes that go around the
// Stream break it.
func (s *Stream) NetConn() net.Conn { return s.wire }

// Close closes the wire.
func (s *Stream) Close() error {
	err := s.wire.Close()
	s.Reader.close()
	return err
}

// LocalAddr returns the wire's.
func (s *Stream) LocalAddr() net.Addr { return s.wire.LocalAddr() }

// RemoteAddr returns the wire's.
func (s *Stream) RemoteAddr() net.Addr { return s.wire.RemoteAddr() }

// SetDeadline sets the wire's. A write that it stops in the middle of a chunk
// ends the stream; a read goes on.
func (s *Stream) SetDeadline(t time.Time) error { return s.wire.SetDeadline(t) }

// SetReadDeadline sets the wire's.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.wire.SetReadDeadline(t) }

// SetWriteDeadline sets the wire's.
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.wire.SetWriteDeadline(t) }

// Served is a Stream that a server accepted. It hides from the client that its
// bytes were wrong; see core.Absorber.
type Served struct {
	*Stream
	Patience time.Duration // for how long, at most
}

var _ core.Absorber = Served{}

// Absorb discards what comes on the wire.
func (s Served) Absorb() {
	_ = s.wire.SetDeadline(time.Now().Add(s.Patience))
	ending.Drain(s.wire)
}
