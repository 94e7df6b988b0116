package websocket

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
)

// closeTimeout bounds the Close frame of Close, which blocks only if the last write has
// filled the window of a peer that no longer reads.
const closeTimeout = time.Second

// A role is the end of the connection that a stream is.
type role string

// The roles. A client masks its frames, and a server does not (RFC 6455 §5.1).
const (
	client role = "client"
	server role = "server"
)

// stream carries bytes in the binary messages of a WebSocket connection after its
// handshake. Boundaries of messages mean nothing: a write is a message, and a read returns
// what has arrived of any number of them.
//
// The protocol has no end of one direction. CloseWrite sends a Close frame, which the peer
// reads as io.EOF, and the peer's answer, its own Close frame, is what ends the other
// direction. RFC 6455 §5.5.1 lets an endpoint delay that answer; this one sends it when its
// user ends the direction, so that half-closed connections work between two of them. A peer
// that answers at once, as browsers and Go's libraries do, ends both directions.
//
// The embedded Stream is the wire: addresses and deadlines are the wire's.
type stream struct {
	core.Stream
	role  role
	reads reader

	wmu       sync.Mutex
	writeErr  error // guarded by wmu; the result of all later writes
	closeSent bool  // guarded by wmu

	pongMu  sync.Mutex
	pong    []byte      // guarded by pongMu; the payload that waits to be sent
	hasPong atomic.Bool // whether one waits

	ends    atomic.Int32 // directions that have ended in order
	closed  atomic.Bool
	aborted atomic.Bool
}

var (
	_ core.Stream       = (*stream)(nil)
	_ core.Waiter       = (*stream)(nil)
	_ core.VectorWriter = (*stream)(nil)
	_ core.Aborter      = (*stream)(nil)
)

// newStream returns a stream over wire. in is wire with the bytes put back that were read
// with the handshake, and early what the handshake carried of the stream.
func newStream(wire, in core.Stream, r role, early []byte) *stream {
	return &stream{Stream: wire, role: r, reads: reader{in: in, early: early}}
}

// NetConn returns the wire, for socket options.
func (s *stream) NetConn() net.Conn { return s.Stream }

// CloseWrite sends a Close frame. The FIN of the wire is sent only after the peer's: some
// proxies treat a FIN as the end of the whole connection.
func (s *stream) CloseWrite() error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.closeSent {
		return nil
	}
	if err := s.sendClose(closeNormal); err != nil {
		return err
	}
	return s.endDirection()
}

// endDirection counts the directions that ended in order, and ends the wire
// after the second.
func (s *stream) endDirection() error {
	if s.ends.Add(1) < 2 {
		return nil
	}
	return s.Stream.CloseWrite()
}

// Close sends a Close frame if CloseWrite has not, and closes the wire. It does not wait
// for a Write that is blocked by the peer; that peer's stream is truncated.
func (s *stream) Close() error {
	s.closed.Store(true)
	if s.wmu.TryLock() {
		if !s.closeSent && !s.aborted.Load() {
			_ = s.Stream.SetWriteDeadline(time.Now().Add(closeTimeout))
			_ = s.sendClose(closeNormal) // the peer may have gone
		}
		s.wmu.Unlock()
	}
	return s.Stream.Close()
}

// Abort resets the wire without a Close frame, so that the peer reads an error and not
// the end of a complete stream.
func (s *stream) Abort() {
	s.aborted.Store(true)
	ending.Reset(s.Stream)
}
