package netio

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// The wait after an accept that failed for want of descriptors or memory
// doubles from the first to the second, and starts anew after a success.
const (
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// acceptAll accepts until the socket is closed.
func (s *socket) acceptAll() {
	backoff := time.Duration(0)
	for {
		conn, err := s.ln.AcceptTCP()
		l := s.owner.Load()
		switch {
		case err == nil:
			backoff = 0
			s.give(conn, l)
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, syscall.ECONNABORTED): // the client gave up first
		default:
			l.acceptor.AcceptError(err)
			backoff = min(max(2*backoff, firstBackoff), lastBackoff)
			if !s.sleep(backoff) {
				return
			}
		}
	}
}

// give hands a connection to the owner, or, if its lease has just ended, to the
// next one, as soon as that serves.
func (s *socket) give(conn *net.TCPConn, l *Listener) {
	for !l.take(conn) {
		if l = s.after(l); l == nil {
			conn.Close()
			return
		}
	}
}

// after waits for an owner other than l, whose lease has ended. It returns nil
// if the socket is closed first.
func (s *socket) after(l *Listener) *Listener {
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

// take passes a connection on, unless the lease has ended: then Close has
// returned or waits, and what comes later must not be missed by whoever waits
// for the end.
func (l *Listener) take(conn *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.acceptor.AcceptConn(conn)
	return true
}

// sleep waits and reports whether the socket is still open.
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
