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
	// oneRecord is the largest write in bytes that crypto/tls surely puts into
	// one record: its first records are cut to a TCP segment.
	oneRecord = 1 << 10
	// closeTimeout bounds the close_notify of Close. It is needed only if the
	// peer has stopped reading just when the last write filled its window.
	closeTimeout = time.Second
)

// stream is a TLS connection after its handshake.
//
// A TLS stream can't be asked what it buffers, so it waits in a read of one byte
// and hands that byte back first. The byte must not make the read after it a
// read of one byte, nor may that read wait for more: it asks crypto/tls for the
// rest with a wire that reads nothing, which gives what is left of the record,
// and whole records behind it, and else comes back at once.
//
// The embedded Stream is the wire: addresses and deadlines are its own.
type stream struct {
	core.Stream
	wire *wire
	conn *stdtls.Conn

	one     [1]byte // read by WaitRead
	held    bool    // one holds a byte
	readErr error   // the end of reading, once it is known

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

// Read returns io.EOF after the peer's close_notify, io.ErrUnexpectedEOF if the
// wire ends without one. It fills p as far as that takes no waiting.
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
		m, _ := s.read(p[n:]) // an end comes again
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
		return nil // the end of the stream is Read's to tell
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
		_ = s.endDirection() // the peer does not wait for it: its close_notify says that it is done
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

// CloseWrite sends close_notify, which the peer reads as io.EOF. The FIN of the
// wire waits until the peer's close_notify has come too: there are peers and
// middleboxes to which a FIN means that the whole connection is over.
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

// Close sends close_notify if CloseWrite has not, and closes the wire. It does
// not wait for a Write that the peer keeps from going on; the peer of such a
// stream sees it cut off.
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

// Abort closes the wire without close_notify, so that the peer sees a broken
// stream, never a complete one.
func (s *stream) Abort() {
	s.aborted.Store(true)
	ending.Reset(s.Stream)
}
