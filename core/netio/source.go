package netio

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
)

// Source fills borrowed buffers from a stream. It holds no buffer while it waits for
// the peer, if the stream supports such a wait.
type Source struct {
	src    core.Stream
	layout func(*Buffer)
	idle   func(*Buffer) bool
	raw    syscall.RawConn       // nil if src is not bare
	try    func(fd uintptr) bool // s.attempt, bound once
	wait   func() error          // of a stream that is not bare; may be nil
	unread *unread               // src as an unread; nil once its bytes have been read again

	// The state of the call in progress, for try.
	buf  *Buffer
	held bool
	n    int
	err  error
}

// NewSource returns a Source that reads src. layout sets the Pieces of a fresh or a
// held buffer to the destination of the bytes. idle, which may be nil, is called before
// a wait with a held buffer: if idle returns true, it has copied the bytes that it
// needs, and the buffer is returned to the pool.
func NewSource(src core.Stream, layout func(*Buffer), idle func(*Buffer) bool) *Source {
	s := &Source{layout: layout, idle: idle}
	s.use(src)
	return s
}

// use makes s read src.
func (s *Source) use(src core.Stream) {
	src = readSide(src)
	s.src, s.wait, s.unread = src, nil, asUnread(src)
	if s.raw = rawConn(src); s.raw != nil {
		s.try = s.attempt
		return
	}
	if w, ok := src.(core.Waiter); ok {
		s.wait = w.WaitRead
	}
}

// Waits reports whether s can wait for the stream without a buffer.
func (s *Source) Waits() bool { return s.raw != nil || s.wait != nil }

// Fill waits until the stream has bytes, then reads once into the pieces of a borrowed
// buffer, or of held if held is not nil and idle has not released it. Fill returns the
// buffer and the number of bytes. On an error, io.EOF among them, it returns held, or
// nil if held was returned to the pool.
func (s *Source) Fill(held *Buffer) (*Buffer, int, error) {
	if s.unread != nil && !s.unread.holds() {
		s.use(s.src)
	}
	if s.raw == nil {
		return s.fillByRead(held)
	}
	s.buf, s.held, s.n, s.err = held, held != nil, 0, nil
	err := s.raw.Read(s.try)
	buf, n := s.buf, s.n
	s.buf = nil
	if err == nil {
		err = s.err
	}
	return buf, n, err
}

// attempt reads without blocking. It returns false if no bytes have arrived, and then
// has returned the buffer that it borrowed.
func (s *Source) attempt(fd uintptr) bool {
	buf := s.buf
	if buf == nil {
		buf = BorrowBuffer()
	}
	s.layout(buf)
	n, err := readPieces(fd, buf)
	if err == nil && n > 0 {
		s.buf, s.n = buf, n
		return true
	}
	if !s.held || err == syscall.EAGAIN && s.idle != nil && s.idle(buf) {
		buf.Return()
		s.buf, s.held = nil, false
	}
	if err == syscall.EAGAIN {
		return false
	}
	if s.err = io.EOF; err != nil {
		s.err = wireError("read", s.src, err)
	}
	return true
}

// fillByRead is Fill for a stream without a descriptor: one Read into the first piece.
func (s *Source) fillByRead(held *Buffer) (*Buffer, int, error) {
	if s.wait != nil {
		if held != nil && s.idle != nil && s.idle(held) {
			held.Return()
			held = nil
		}
		if err := s.wait(); err != nil {
			return held, 0, err
		}
	}
	buf := held
	switch {
	case buf != nil:
	case s.wait != nil:
		buf = BorrowBuffer()
	default:
		buf = BorrowSmallBuffer() // held for as long as the peer is silent
	}
	n := 0
	defer func() { // Read of a third party's stream may panic
		if n == 0 && held == nil {
			buf.Return()
		}
	}()
	s.layout(buf)
	n, err := s.src.Read(buf.Pieces[0])
	switch {
	case n > 0:
		return buf, n, nil // the next Read returns the error again
	case err == nil:
		err = io.ErrNoProgress
	}
	return held, 0, err
}

// WaitBytes waits until n bytes of s have arrived, or until s has ended. At least one byte
// is waited for. Where the system does not support that, the error is an
// errors.ErrUnsupported.
func WaitBytes(s *net.TCPConn, n int) error {
	raw := rawConn(s)
	if raw == nil {
		return errors.ErrUnsupported
	}
	w := bytesWaiter{n: min(max(n, 1), maxWaitBytes)}
	err := raw.Read(w.arrived)
	if w.low {
		_ = raw.Control(func(fd uintptr) { setReceiveLow(fd, 1) })
	}
	return err
}

// maxWaitBytes is the most that WaitBytes waits for.
const maxWaitBytes = 128

// bytesWaiter is one call of WaitBytes.
type bytesWaiter struct {
	n      int
	waited bool
	low    bool // the receive low-water mark is n
}

// arrived reports whether the bytes have arrived, or no more will. If some are missing,
// the system wakes the reader when they are there, or at the end, and not at each byte.
func (w *bytesWaiter) arrived(fd uintptr) bool {
	if w.waited && w.n == 1 { // spares a system call
		return true
	}
	n, err := peek(fd, w.n)
	switch {
	case err == syscall.EAGAIN:
		w.waited = true
		return false
	case err != nil || n == 0 || n >= w.n || w.low:
		return true
	}
	w.low = setReceiveLow(fd, w.n)
	return !w.low || hasEnded(fd) // an end before this call wakes nobody
}

// WaitReadable waits until a Read of s would not wait for the peer. If s does not
// support a wait without a buffer, WaitReadable returns at once.
func WaitReadable(s core.Stream) error {
	if w, ok := s.(core.Waiter); ok {
		return w.WaitRead()
	}
	if raw := rawConn(s); raw != nil {
		return raw.Read(readable)
	}
	return nil
}
