package stream

import (
	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
)

// conn is a wire with encryption both ways. It owns the wire, and is for the
// relay what core calls a burst reader, a burst writer and a vector writer.
type conn struct {
	reader
	writer
	wire.Conn
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
func newConn(w core.Stream, c *Cipher, keys keystream, head []byte) *conn {
	s := &conn{Conn: wire.Over(w)}
	s.writer.out.Wire, s.writer.keys, s.writer.head = w, keys, head
	s.reader.reset(w, c)
	return s
}

// Close closes the wire.
func (s *conn) Close() error {
	err := s.reader.wire.Close()
	s.reader.close()
	return err
}
