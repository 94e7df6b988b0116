package coretest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// lane is one direction of a Pipe.
type lane struct {
	mu      sync.Mutex
	changed sync.Cond // signals changes of the fields below, which mu guards
	bytes   []byte
	ended   bool // the writer has called CloseWrite
	writer  side
	reader  side
}

// side is one end of a lane.
type side struct {
	closed   bool
	fate     error // the error of the other side, once closed; nil for an orderly end
	deadline time.Time
	timer    *time.Timer
}

func newLane() *lane {
	l := &lane{}
	l.changed.L = &l.mu
	return l
}

// expired reports whether the side's deadline has passed.
func (s *side) expired() bool { return !s.deadline.IsZero() && !time.Now().Before(s.deadline) }

// close marks the side closed; a later fate is ignored.
func (s *side) close(fate error) {
	if !s.closed {
		s.closed, s.fate = true, fate
	}
	if s.timer != nil {
		s.timer.Stop()
	}
}

// await waits until a read would not wait, and returns the error of that read. mu is held.
func (l *lane) await() error {
	for {
		switch {
		case l.reader.closed:
			return net.ErrClosed
		case l.reader.expired():
			return os.ErrDeadlineExceeded
		case len(l.bytes) > 0:
			return nil
		case l.writer.closed && l.writer.fate != nil:
			return l.writer.fate
		case l.ended || l.writer.closed:
			return io.EOF
		}
		l.changed.Wait()
	}
}

func (l *lane) waitRead() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.await(); err == net.ErrClosed || err == os.ErrDeadlineExceeded {
		return err
	}
	return nil // a Read returns the end or the error at once
}

func (l *lane) read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	if err := l.await(); err != nil {
		return 0, err
	}
	n := copy(b, l.bytes)
	l.bytes = l.bytes[n:]
	l.changed.Broadcast()
	return n, nil
}

func (l *lane) write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for {
		switch {
		case l.writer.closed:
			return total, net.ErrClosed
		case l.writer.expired():
			return total, os.ErrDeadlineExceeded
		case l.ended:
			return total, syscall.EPIPE
		case l.reader.closed:
			return total, l.reader.fate
		}
		n := min(len(b), pipeBuffer-len(l.bytes))
		l.bytes = append(l.bytes, b[:n]...)
		total, b = total+n, b[n:]
		if n > 0 {
			l.changed.Broadcast()
		}
		if len(b) == 0 {
			return total, nil
		}
		l.changed.Wait()
	}
}

// end is CloseWrite.
func (l *lane) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writer.closed {
		return net.ErrClosed
	}
	l.ended = true
	l.changed.Broadcast()
	return nil
}

// closeWriter closes the writing side. If fate is not nil, unread bytes are lost.
func (l *lane) closeWriter(fate error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fate != nil && !l.writer.closed {
		l.bytes = nil
	}
	l.writer.close(fate)
	l.changed.Broadcast()
}

// closeReader closes the reading side. Writes fail with fate afterwards.
func (l *lane) closeReader(fate error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes = nil
	l.reader.close(fate)
	l.changed.Broadcast()
}

// setDeadline sets the deadline of one side.
func (l *lane) setDeadline(s *side, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.deadline = t
	if !t.IsZero() {
		s.timer = time.AfterFunc(time.Until(t), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.changed.Broadcast()
		})
	}
	l.changed.Broadcast()
	return nil
}
