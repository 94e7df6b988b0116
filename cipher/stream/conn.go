package stream

import (
	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
)

// conn is a wire with encryption in both directions. It owns the wire. The relay uses it as
// a core.BurstReader, core.BurstWriter and core.VectorWriter.
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

// newConn returns a conn whose peer has not sent anything yet. It encrypts with keys, and
// sends head before its first bytes.
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
