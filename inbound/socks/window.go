package socks

import (
	"errors"
	"fmt"
	"net"

	"github.com/umbra-proxy/umbra/core"
)

// windowSize is the capacity of a window in bytes. It holds the longest message, and
// makes the struct 576 bytes, a size class of the allocator.
const windowSize = 576 - 32

// window is a buffer of a client's bytes that were read and not parsed yet. One read may
// return part of a message, or several messages and the payload after them, so that a
// message costs one system call.
type window struct {
	conn     core.Stream
	from, to int // the bytes are b[from:to]
	b        [windowSize]byte
}

// next returns the next message of the client. parse is called with the bytes from the
// start of the message on. It returns the message and the message's length, or ErrShort
// if the message is incomplete: then parse is called again with more bytes. Errors of
// next begin with the name of the message.
//
// The message may alias the window: it is valid until the next call of next.
func next[T any](w *window, name string, parse func(b []byte) (T, int, error)) (T, error) {
	for {
		msg, n, err := parse(w.b[w.from:w.to])
		if err == nil {
			w.from += n
			return msg, nil
		}
		if !errors.Is(err, core.ErrShort) {
			return msg, fmt.Errorf("%s: %w", name, err)
		}
		if err := w.read(); err != nil {
			return msg, fmt.Errorf("%s of %d bytes so far: %w", name, w.to-w.from, ended(err))
		}
	}
}

// read adds at least one byte to the window. A window that holds less than a
// message always has room.
func (w *window) read() error {
	w.to = copy(w.b[:], w.b[w.from:w.to])
	w.from = 0
	for {
		n, err := w.conn.Read(w.b[w.to:])
		w.to += n
		if n > 0 {
			return nil // the next read returns the error again
		}
		if err != nil {
			return err
		}
	}
}

// answer writes b, the answer to the message called name.
func (w *window) answer(name string, b ...byte) error {
	if _, err := w.conn.Write(b); err != nil {
		return fmt.Errorf("answer to the %s: %w", name, ended(err))
	}
	return nil
}

// rest returns the bytes after the last message, nil if there are none. They alias the
// window, which must not be used afterwards.
func (w *window) rest() []byte {
	if w.from == w.to {
		return nil
	}
	return w.b[w.from:w.to:w.to]
}

// ended marks an error of the connection as ErrShort: the client ended, the connection
// broke, or the client was too slow. net.ErrClosed is not marked: the server closed the
// connection, so the error is not the client's.
func ended(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", core.ErrShort, err)
}
