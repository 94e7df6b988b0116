package ssh

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/umbra-proxy/umbra/core/netio"
)

// errPeerClosed says that the server has ended the channel.
var errPeerClosed = fmt.Errorf("%w: the server has ended the channel", syscall.EPIPE)

// Write returns once all of p is in the buffer that push is writing. Its errors are those of
// earlier writes too.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for {
		switch {
		case s.closed:
			return n, s.wrap("write", net.ErrClosed)
		case s.writer.expired():
			return n, s.wrap("write", os.ErrDeadlineExceeded)
		case s.outEnded:
			return n, s.wrap("write", syscall.EPIPE)
		case s.outErr != nil:
			return n, s.wrap("write", s.outErr)
		case len(p) == 0:
			return n, nil
		}
		if s.out != nil {
			s.changed.Wait()
			continue
		}
		s.out = netio.BorrowBuffer()
		taken := copy(s.out.B, p)
		s.outBytes = s.out.B[:taken]
		n, p = n+taken, p[taken:]
		s.push()
	}
}

// CloseWrite sends the end of our direction behind what was written. It does not wait.
func (s *stream) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return s.wrap("close", net.ErrClosed)
	case s.outErr != nil:
		return s.wrap("close", s.outErr)
	case !s.outEnded:
		s.outEnded = true
		s.push()
	}
	return nil
}

// push has what is to be written written: bytes, the end of the direction, the end of the
// channel. mu is held.
func (s *stream) push() {
	if s.pushing {
		return
	}
	if s.pushing = s.session.run(s.pushAll); !s.pushing {
		s.pushed(errLost)
	}
}

// pushed notes that the buffer is free. mu is held.
func (s *stream) pushed(err error) {
	s.out.Return()
	s.out, s.outBytes = nil, nil
	if err != nil && s.outErr == nil {
		s.outErr = err
	}
	s.changed.Broadcast()
}

// pushAll writes until there is nothing to write.
func (s *stream) pushAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := false
	for {
		switch {
		case s.out != nil && s.outErr == nil:
			b := s.outBytes
			s.mu.Unlock()
			_, err := s.channel.Write(b)
			s.mu.Lock()
			s.pushed(s.writeError(err))
		case s.out != nil:
			s.pushed(nil)
		case s.closed:
			s.pushing = false
			s.mu.Unlock()
			_ = s.channel.Close()
			s.mu.Lock()
			return
		case s.outEnded && !ended && s.outErr == nil:
			ended = true
			s.mu.Unlock()
			err := s.channel.CloseWrite()
			s.mu.Lock()
			s.pushed(s.writeError(err))
		default:
			s.pushing = false
			return
		}
	}
}

// writeError returns the error of a write: the library has io.EOF for every reason.
func (s *stream) writeError(err error) error {
	if err == nil {
		return nil
	}
	if reason := s.session.wire.loss(); reason != nil {
		return fmt.Errorf("%w: %w: %s", syscall.EPIPE, errLost, lossText(reason))
	}
	return errPeerClosed
}
