package netio

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// Bounds of the wait after an accept that failed for lack of descriptors or memory.
// The wait doubles from firstBackoff to lastBackoff. A success resets it.
const (
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// acceptAll accepts connections until the socket is closed.
func (s *socket) acceptAll() {
	backoff := time.Duration(0)
	for {
		conn, err := s.ln.AcceptTCP()
		l := s.owner.Load()
		switch {
		case err == nil:
			backoff = 0
			s.deliver(conn, l)
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, syscall.ECONNABORTED): // the client aborted before the accept
		default:
			l.acceptor.AcceptError(err)
			backoff = min(max(2*backoff, firstBackoff), lastBackoff)
			if !s.sleep(backoff) {
				return
			}
		}
	}
}

// deliver passes conn to l, the lease that owns the socket. If l has just ended,
// deliver waits for the next owner and passes conn to that lease.
func (s *socket) deliver(conn *net.TCPConn, l *Listener) {
	for !l.accept(conn) {
		if l = s.nextOwner(l); l == nil {
			conn.Close()
			return
		}
	}
}

// nextOwner waits until another lease than l, which has ended, owns the socket, and
// returns that lease. It returns nil if the socket is closed first.
func (s *socket) nextOwner(l *Listener) *Listener {
	for {
		if next := s.owner.Load(); next != l {
			return next
		}
		select {
		case <-s.served:
		case <-s.closed:
			return nil
		}
	}
}

// accept passes conn to the acceptor and returns true. It returns false if the lease
// has ended: a caller of Close takes the set of accepted connections as final then.
func (l *Listener) accept(conn *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.acceptor.AcceptConn(conn)
	return true
}

// sleep waits for d, or until the socket is closed, and reports whether the socket
// is still open.
func (s *socket) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closed:
		return false
	}
}
