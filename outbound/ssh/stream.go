package ssh

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// stream is a channel as a core.Stream. The library's calls can't be ended by a deadline or
// by Close, so two goroutines make them: pump reads for as long as the channel is open, and
// push writes while there is something to write. Both end with the channel.
type stream struct {
	channel ssh.Channel
	session *session

	mu      sync.Mutex
	changed sync.Cond // signals changes of the fields below, which mu guards
	closed  bool      // by Close
	reader  deadline
	writer  deadline

	in    []byte // read by pump, which waits until it is consumed
	lent  bool   // in is being written elsewhere
	inEnd error  // why nothing follows in
	first [firstRead]byte

	out      *netio.Buffer // being written by push, or nil
	outBytes []byte        // of out
	outEnded bool          // by CloseWrite
	outErr   error         // of push
	pushing  bool
	hurry    bool        // the end of the channel waits for no bytes
	linger   *time.Timer // sets hurry some time after Close
}

var (
	_ core.Stream      = (*stream)(nil)
	_ core.Waiter      = (*stream)(nil)
	_ core.BurstWriter = (*stream)(nil)
	_ core.Aborter     = (*stream)(nil)
)

func newStream(c ssh.Channel, s *session) *stream {
	st := &stream{channel: c, session: s}
	st.changed.L = &st.mu
	return st
}

// start starts the goroutines of the stream. It returns false if the session has ended.
func (s *stream) start(requests <-chan *ssh.Request) bool {
	ended := s.session.run(func() {
		ssh.DiscardRequests(requests) // until the server has confirmed the end
		s.confirmed()
	})
	if !ended {
		return false
	}
	if !s.session.run(s.pump) { // the session has ended just now, and ends the other goroutine
		s.endReads(io.EOF)
	}
	return true
}

// confirmed notes that the channel has ended on both sides.
func (s *stream) confirmed() {
	s.mu.Lock()
	if s.linger != nil {
		s.linger.Stop()
	}
	if s.outErr == nil {
		s.outErr = s.writeError(io.EOF)
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	s.session.release()
}

// Close ends both directions. Bytes that were written are still sent.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.close()
	if s.pushing && !s.hurry {
		s.linger = time.AfterFunc(closeTime, s.hurryUp)
	}
	return nil
}

// Abort closes the stream without sending what was written last. SSH has no reset: the
// target sees an end, or a reset if the server has bytes for the target that it could not
// write.
func (s *stream) Abort() {
	s.mu.Lock()
	wasClosed := s.closed
	s.hurry = true
	if !wasClosed {
		s.close()
	}
	s.mu.Unlock()
	if !wasClosed {
		s.hurryUp()
	}
}

// close ends both directions. mu is held.
func (s *stream) close() {
	s.closed = true
	s.reader.stop()
	s.writer.stop()
	s.push()
	s.changed.Broadcast()
}

// hurryUp ends the channel, whatever was not sent yet.
func (s *stream) hurryUp() {
	s.session.run(func() { _ = s.channel.Close() })
}

func (s *stream) LocalAddr() net.Addr  { return s.session.wire.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.session.wire.RemoteAddr() }

// SetDeadline sets both deadlines.
func (s *stream) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of Read, WaitRead and WriteBurst.
func (s *stream) SetReadDeadline(t time.Time) error { return s.setDeadline(&s.reader, t) }

// SetWriteDeadline sets the deadline of Write.
func (s *stream) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.writer, t) }

func (s *stream) setDeadline(d *deadline, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.wrap("set", net.ErrClosed)
	}
	d.set(t, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	s.changed.Broadcast()
	return nil
}

// wrap returns err as a *net.OpError, as package net does.
func (s *stream) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "ssh", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

// deadline is the time at which an operation gives up. The zero deadline is none.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

// set sets the deadline and has wake called when it has passed.
func (d *deadline) set(t time.Time, wake func()) {
	d.stop()
	if d.at = t; !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), wake)
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (d *deadline) expired() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// cutOff is the error of a stream whose connection was lost.
func cutOff(reason error) error {
	return fmt.Errorf("%w: %w: %s", io.ErrUnexpectedEOF, errLost, lossText(reason))
}
