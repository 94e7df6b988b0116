// Package wire has what the streams of all methods share, whatever stands on their
// wire: the end of a reader, the end of a writer, and the wire's addresses and
// deadlines.
package wire

import (
	"net"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Conn has the methods of a stream that are its wire's. It has no Read and no Write,
// so that a stream that embeds it can't pass plaintext by mistake.
type Conn struct{ wire core.Stream }

// Over returns the Conn of a wire.
func Over(wire core.Stream) Conn { return Conn{wire} }

// NetConn returns the wire. It is for socket options: bytes that go around the stream
// break it.
func (c Conn) NetConn() net.Conn { return c.wire }

// LocalAddr returns the wire's.
func (c Conn) LocalAddr() net.Addr { return c.wire.LocalAddr() }

// RemoteAddr returns the wire's.
func (c Conn) RemoteAddr() net.Addr { return c.wire.RemoteAddr() }

// SetDeadline sets the wire's. A write that it stops ends the stream; a read goes on.
func (c Conn) SetDeadline(t time.Time) error { return c.wire.SetDeadline(t) }

// SetReadDeadline sets the wire's.
func (c Conn) SetReadDeadline(t time.Time) error { return c.wire.SetReadDeadline(t) }

// SetWriteDeadline sets the wire's.
func (c Conn) SetWriteDeadline(t time.Time) error { return c.wire.SetWriteDeadline(t) }
