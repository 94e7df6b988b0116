package chunk

import (
	"time"

	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
)

// Stream is a wire with chunks both ways. It owns the wire, and is for the
// relay what core calls a burst reader, a burst writer and a vector writer.
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

// NewStream returns a Stream over a wire that neither reads nor writes yet. begin
// is called before the first chunk is read; it finds out how, by Peek, and calls
// Start and Skip. It may be called again after a deadline. It is nil if the
// caller does that.
func NewStream(w core.Stream, begin func(*Reader) error) *Stream {
	s := &Stream{Conn: wire.Over(w)}
	s.Reader.reset(w, begin)
	return s
}

// StartWrite tells how chunks are sealed from here on. head is the zero Head if
// the first chunk has been sent.
func (s *Stream) StartWrite(box Box, largest int, head Head) {
	s.Writer.reset(s.Reader.wire, box, largest, head)
}

// Close closes the wire.
func (s *Stream) Close() error {
	err := s.Reader.wire.Close()
	s.Reader.close()
	return err
}

// Served is a Stream that a server accepted. It hides from the client that its
// bytes were wrong; see core.Absorber.
type Served struct {
	*Stream
	Patience time.Duration // for how long, at most
}

var _ core.Absorber = Served{}

// Absorb discards what comes on the wire.
func (s Served) Absorb() {
	_ = s.SetDeadline(time.Now().Add(s.Patience))
	ending.Drain(s.Reader.wire)
}
