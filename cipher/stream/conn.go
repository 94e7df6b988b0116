package stream

import (
	"net"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// conn is a wire with encryption both ways. It owns the wire, and is for the
// relay what core calls a burst reader, a burst writer and a vector writer.
type conn struct {
	reader
	writer
	wire core.Stream
}

var (
	_ core.Stream       = (*conn)(nil)
	_ core.BurstReader  = (*conn)(nil)
	_ core.BurstWriter  = (*conn)(nil)
	_ core.VectorWriter = (*conn)(nil)
	_ core.Waiter       = (*conn)(nil)
)

// newConn returns a conn whose peer has sent nothing yet. It encrypts under keys,
// and sends head before its first bytes.
func newConn(wire core.Stream, c *Cipher, keys keystream, head []byte) *conn {
	s := &conn{wire: wire}
	s.writer.wire, s.writer.keys, s.writer.head = wire, keys, head
	s.reader.reset(wire, c)
	return s
}

// NetConn returns the wire. It is for socket options: bytes that go around the
// conn break it.
func (s *conn) NetConn() net.Conn { return s.wire }

// Close closes the wire.
func (s *conn) Close() error {
	err := s.wire.Close()
	s.reader.close()
	return err
}

// LocalAddr returns the wire's.
func (s *conn) LocalAddr() net.Addr { return s.wire.LocalAddr() }

// RemoteAddr returns the wire's.
func (s *conn) RemoteAddr() net.Addr { return s.wire.RemoteAddr() }

// SetDeadline sets the wire's. A write that it stops ends the stream; a read goes
// on.
func (s *conn) SetDeadline(t time.Time) error { return s.wire.SetDeadline(t) }

// SetReadDeadline sets the wire's.
func (s *conn) SetReadDeadline(t time.Time) error { return s.wire.SetReadDeadline(t) }

// SetWriteDeadline sets the wire's.
func (s *conn) SetWriteDeadline(t time.Time) error { return s.wire.SetWriteDeadline(t) }
