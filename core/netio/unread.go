package netio

import (
	"net"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
)

// Unread returns s with first put back: reads return the bytes of first and then those
// of s. All other methods are those of s. Unread keeps first; the caller must not change
// first afterwards.
//
// The stream costs nothing once first has been read: NewBurster, NewSource and
// Buffer.WritePieces use s in its place, so that the kernel splices, and a cipher
// reads and writes, as without it.
func Unread(s core.Stream, first []byte) core.Stream {
	if len(first) == 0 {
		return s
	}
	u := &unread{Stream: s, first: first}
	a, absorbs := s.(core.Absorber)
	i, interrupts := s.(core.Interrupter)
	switch {
	case absorbs && interrupts:
		return &servedUnread{absorbingUnread{u, a}, i}
	case absorbs:
		return &absorbingUnread{u, a}
	}
	return u
}

// unread is a stream with bytes put back. Only the reader of the stream uses first.
type unread struct {
	core.Stream
	first  []byte // not read again yet
	closed atomic.Bool
}

// absorbingUnread is an unread whose wrapped stream is an Absorber.
type absorbingUnread struct {
	*unread
	core.Absorber
}

// servedUnread is an absorbingUnread whose wrapped stream is an Interrupter too.
type servedUnread struct {
	absorbingUnread
	core.Interrupter
}

var (
	_ core.Waiter       = (*unread)(nil)
	_ core.VectorWriter = (*unread)(nil)
)

// NetConn returns the wrapped stream, for socket options and for Reset.
func (u *unread) NetConn() net.Conn { return u.Stream }

func (u *unread) Read(p []byte) (int, error) {
	if !u.holds() || len(p) == 0 {
		return u.Stream.Read(p)
	}
	n := copy(p, u.first)
	u.consume(n)
	return n, nil
}

// WaitRead returns nil at once while bytes that were put back are left.
func (u *unread) WaitRead() error {
	if u.holds() {
		return nil
	}
	return WaitReadable(u.Stream)
}

// WriteVector writes all pieces, with one call if the stream supports vectored writes.
func (u *unread) WriteVector(pieces [][]byte) (int, error) { return WriteVector(u.Stream, pieces) }

// Close closes the stream. Bytes that were put back can't be read afterwards.
func (u *unread) Close() error {
	u.closed.Store(true)
	return u.Stream.Close()
}

// holds reports whether the next read returns bytes that were put back.
func (u *unread) holds() bool { return len(u.first) > 0 && !u.closed.Load() }

// consume drops n bytes that were read again.
func (u *unread) consume(n int) {
	if u.first = u.first[n:]; len(u.first) == 0 {
		u.first = nil // frees the memory, which may be larger than first
	}
}

// burster returns a Burster from u to dst: the bytes that were put back are the first
// burst; the stream's bytes follow.
func (u *unread) burster(dst core.Stream) Burster {
	var rest Burster
	return func() (int, error) {
		if u.holds() {
			n, err := dst.Write(u.first)
			u.consume(n)
			return n, err
		}
		if rest == nil {
			rest = NewBurster(dst, u.Stream)
		}
		return rest()
	}
}

func (u *unread) self() *unread { return u }

// asUnread returns s as an unread, or nil if s is of another type.
func asUnread(s core.Stream) *unread {
	if w, ok := s.(interface{ self() *unread }); ok {
		return w.self()
	}
	return nil
}

// readSide returns s without the Unread wrappers that have no bytes left.
func readSide(s core.Stream) core.Stream {
	for u := asUnread(s); u != nil && !u.holds(); u = asUnread(s) {
		s = u.Stream
	}
	return s
}

// writeSide returns s without Unread wrappers.
func writeSide(s core.Stream) core.Stream {
	for u := asUnread(s); u != nil; u = asUnread(s) {
		s = u.Stream
	}
	return s
}
