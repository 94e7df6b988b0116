// Package wire is shared by the streams of all methods, independent of their format:
// ending a reader, ending a writer, and the addresses and deadlines of the wire, the
// encrypted stream below.
package wire

import (
	"net"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Conn forwards the address and deadline methods of a stream to its wire. It has no
// Read and no Write, so that a stream that embeds it can't expose them by mistake.
type Conn struct{ wire core.Stream }

// Over returns the Conn of a wire.
func Over(wire core.Stream) Conn { return Conn{wire} }

// NetConn returns the wire. It is for socket options only: bytes read or written
// directly break the encrypted stream.
func (c Conn) NetConn() net.Conn { return c.wire }

// LocalAddr returns the local address of the wire.
func (c Conn) LocalAddr() net.Addr { return c.wire.LocalAddr() }

// RemoteAddr returns the remote address of the wire.
func (c Conn) RemoteAddr() net.Addr { return c.wire.RemoteAddr() }

// SetDeadline sets the deadlines of the wire. A write that times out ends the stream; a
// read can be repeated.
func (c Conn) SetDeadline(t time.Time) error { return c.wire.SetDeadline(t) }

// SetReadDeadline sets the read deadline of the wire.
func (c Conn) SetReadDeadline(t time.Time) error { return c.wire.SetReadDeadline(t) }

// SetWriteDeadline sets the write deadline of the wire.
func (c Conn) SetWriteDeadline(t time.Time) error { return c.wire.SetWriteDeadline(t) }
