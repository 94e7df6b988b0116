package tls

import (
	stdtls "crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
)

const (
	// oneRecord is the largest write in bytes that crypto/tls always sends as one
	// record: it limits its first records to a TCP segment.
	oneRecord = 1 << 10
	// closeTimeout bounds the close_notify of Close, which blocks only if the last
	// write has filled the window of a peer that no longer reads.
	closeTimeout = time.Second
)

// stream is a TLS connection after its handshake.
//
// crypto/tls does not report which bytes it buffers, so WaitRead reads one byte, which
// the next Read returns first. That Read must return more than the one byte if more is
// buffered, without a wait for further bytes: it reads from crypto/tls while the wire
// returns wouldWait. So crypto/tls returns the rest of the record, and complete buffered
// records after it, or returns at once.
//
// The embedded Stream is the wire: addresses and deadlines are the wire's.
type stream struct {
	core.Stream
	wire *wire
	conn *stdtls.Conn

	one     [1]byte // read by WaitRead
	held    bool    // one holds a byte
	readErr error   // the result of all later reads, or nil

	wmu        sync.Mutex
	writeEnded bool // guarded by wmu

	ends    atomic.Int32 // directions that have ended in order
	aborted atomic.Bool
}

var (
	_ core.Stream       = (*stream)(nil)
	_ core.Waiter       = (*stream)(nil)
	_ core.VectorWriter = (*stream)(nil)
)

// NetConn returns the wire, for socket options.
func (s *stream) NetConn() net.Conn { return s.Stream }

// Read returns io.EOF after the peer's close_notify, io.ErrUnexpectedEOF if the wire
// ends without close_notify. It fills p with the bytes that are available without a
// wait.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	if s.held {
		p[0], s.held, n = s.one[0], false, 1
	} else {
		var err error
		if n, err = s.read(p); n == 0 {
			return 0, err
		}
	}
	s.wire.noWait = true
	for n < len(p) {
		m, _ := s.read(p[n:]) // the next Read returns the error again
		if m == 0 {
			break
		}
		n += m
	}
	s.wire.noWait = false
	return n, nil
}

// WaitRead waits for the first byte and keeps it for Read. No buffer is held
// meanwhile but that of crypto/tls.
func (s *stream) WaitRead() error {
	if s.held {
		return nil
	}
	n, err := s.read(s.one[:])
	s.held = n == 1
	if s.held || s.readErr != nil {
		return nil // Read returns the end of the stream
	}
	return err
}

// read is one Read of crypto/tls. Errors other than timeouts end the stream and
// are kept: crypto/tls does not repeat all of them.
func (s *stream) read(p []byte) (int, error) {
	if s.readErr != nil {
		return 0, s.readErr
	}
	n, err := s.conn.Read(p)
	if err == nil {
		return n, nil
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return n, err
	}
	s.readErr = readError(err)
	if err == io.EOF {
		_ = s.endDirection() // an error does not matter: the peer's close_notify has ended the direction
	}
	return n, s.readErr
}

// Write sends p in one write of the wire where a buffer holds all its records.
// After an error, a timeout among them, the stream can't be written any more.
func (s *stream) Write(p []byte) (int, error) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if len(p) <= oneRecord {
		return s.conn.Write(p)
	}
	s.wire.collect()
	n, err := s.conn.Write(p)
	if ferr := s.wire.flush(); ferr != nil {
		return 0, ferr // records may be lost in part, so no count is right
	}
	return n, err
}

// WriteVector sends all pieces as Write does. No record spans two of them.
func (s *stream) WriteVector(pieces [][]byte) (int, error) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	s.wire.collect()
	total := 0
	var err error
	for _, p := range pieces {
		var n int
		n, err = s.conn.Write(p)
		if total += n; err != nil {
			break
		}
	}
	if ferr := s.wire.flush(); ferr != nil {
		return 0, ferr
	}
	return total, err
}

// CloseWrite sends close_notify, which the peer reads as io.EOF. The FIN of the wire is
// sent only after the peer's close_notify: some peers and middleboxes treat a FIN as
// the end of the whole connection.
func (s *stream) CloseWrite() error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.writeEnded {
		return nil
	}
	s.writeEnded = true
	err := s.conn.CloseWrite()
	s.wire.end(net.ErrClosed)
	if err != nil {
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

// Close sends close_notify if CloseWrite has not, and closes the wire. It does not wait
// for a Write that is blocked by the peer; that peer's stream is truncated.
func (s *stream) Close() error {
	if s.wmu.TryLock() {
		if !s.writeEnded && !s.aborted.Load() {
			s.writeEnded = true
			_ = s.Stream.SetWriteDeadline(time.Now().Add(closeTimeout))
			_ = s.conn.CloseWrite() // the peer may have gone
		}
		s.wmu.Unlock()
	}
	return s.Stream.Close()
}

// Abort resets the wire without close_notify, so that the peer reads an error and not
// the end of a complete stream.
func (s *stream) Abort() {
	s.aborted.Store(true)
	ending.Reset(s.Stream)
}
