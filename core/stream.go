package core

import "net"

// Stream is a connection of bytes that can end one direction while the other
// goes on. One goroutine may read while another writes; Close may come from
// anywhere.
type Stream interface {
	net.Conn
	// CloseWrite ends our direction: the peer reads what was written, then
	// io.EOF. Only the relay calls it.
	CloseWrite() error
}

// BurstReader is a stream that can fill itself: it reads from src and writes
// what it read, many bytes a system call and without holding a buffer while it
// waits. The sealing side of a cipher is one.
type BurstReader interface {
	// ReadBurst waits until src has bytes, moves one burst of them into the
	// stream and returns the count of src's bytes moved. It returns io.EOF at
	// the end of src. It may block in src.Read and in its own writing, and
	// honours the deadlines of both.
	ReadBurst(src Stream) (int, error)
}

// BurstWriter is the counterpart: a stream that can empty itself into dst. The
// opening side of a cipher is one.
type BurstWriter interface {
	// WriteBurst waits until the stream has bytes, moves one burst of them into
	// dst and returns the count of bytes dst took. It returns io.EOF at the end
	// of the stream.
	WriteBurst(dst Stream) (int, error)
}

// VectorWriter is a stream that takes several pieces in one go.
type VectorWriter interface {
	// WriteVector writes all pieces in order. It keeps none of them and may
	// change their bytes. It returns the count of bytes taken and, if that is
	// not all, an error.
	WriteVector(pieces [][]byte) (int, error)
}

// Waiter is a stream that can be waited on without a buffer.
type Waiter interface {
	// WaitRead returns nil as soon as a Read would not wait for the peer's
	// first byte: there are buffered bytes, or the wire has some, or it has
	// ended. It honours the read deadline.
	WaitRead() error
}

// Absorber is a stream that hides from its peer that the peer's bytes were invalid.
type Absorber interface {
	// Absorb reads and discards what the peer sends until the peer ends, or
	// until a time that does not depend on what was sent. It is called after the
	// stream's Read has failed.
	Absorb()
}

// Interrupter is a stream on whose wire a reset would tell a stranger more than an orderly
// end does.
type Interrupter interface {
	// Interrupt ends our direction as CloseWrite does, but in the middle of a message: a
	// peer with the key can tell that the stream is incomplete, and nobody else can.
	// It is called in place of CloseWrite, and not during a Write.
	Interrupt() error
}

// Aborter is a stream whose Close would make a broken end look orderly to its
// peer. Abort closes it, and what it stands on, without that.
type Aborter interface{ Abort() }
