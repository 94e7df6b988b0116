package ssh

import (
	"io"
	"net"
	"os"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// firstRead is how many bytes pump reads at once after a silence. It is all that a silent
// stream holds.
const firstRead = 512

// pump reads the channel until its end. Where much has come at once, it borrows a buffer
// for it.
func (s *stream) pump() {
	var big *netio.Buffer
	defer func() { big.Return() }()
	for {
		buf := s.first[:]
		if big != nil {
			buf = big.B
		}
		n, err := s.channel.Read(buf)
		wanted := s.hand(buf[:n]) // of a stream that is closed, the rest is read and dropped
		if err != nil {
			s.endReads(err)
			return
		}
		switch {
		case n < len(buf) || !wanted:
			big.Return()
			big = nil
		case big == nil:
			big = netio.BorrowBuffer()
		}
	}
}

// hand gives b to the reader and waits until the reader has consumed it. It returns false if
// the stream is closed.
func (s *stream) hand(b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b) == 0 || s.closed {
		return !s.closed
	}
	s.in = b
	s.changed.Broadcast()
	for s.lent || len(s.in) > 0 && !s.closed {
		s.changed.Wait()
	}
	s.in = nil
	return !s.closed
}

// endReads notes why nothing more will be read.
func (s *stream) endReads(err error) {
	lost := s.session.wire.orderly()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case lost != nil:
		s.inEnd = cutOff(lost)
	case err == io.EOF:
		s.inEnd = io.EOF
	default:
		s.inEnd = cutOff(err)
	}
	s.changed.Broadcast()
}

// await waits until a read would not wait, and returns the error of that read. mu is held.
func (s *stream) await() error {
	for {
		switch {
		case s.closed:
			return net.ErrClosed
		case s.reader.expired():
			return os.ErrDeadlineExceeded
		case len(s.in) > 0:
			return nil
		case s.inEnd != nil:
			return s.inEnd
		}
		s.changed.Wait()
	}
}

// consume drops n bytes that were read. mu is held.
func (s *stream) consume(n int) {
	if s.in = s.in[n:]; len(s.in) == 0 {
		s.changed.Broadcast()
	}
}

func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.await(); err != nil {
		return 0, s.wrap("read", err)
	}
	n := copy(p, s.in)
	s.consume(n)
	return n, nil
}

// WaitRead waits until a Read would not wait.
func (s *stream) WaitRead() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.await(); err == net.ErrClosed || err == os.ErrDeadlineExceeded {
		return s.wrap("read", err)
	}
	return nil // a Read returns the end or the error at once
}

// WriteBurst writes what has come to dst.
func (s *stream) WriteBurst(dst core.Stream) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.await(); err != nil {
		return 0, s.wrap("read", err)
	}
	b := s.in
	s.lent = true
	s.mu.Unlock()
	defer func() { // also if dst panics
		s.mu.Lock()
		s.lent = false
		s.consume(len(b))
		s.changed.Broadcast()
	}()
	return dst.Write(b)
}
