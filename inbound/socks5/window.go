package socks5

import (
	"errors"
	"fmt"
	"net"

	"github.com/umbra-proxy/umbra/core"
)

// windowSize is the capacity of a window in bytes: the longest message, and
// what rounds the whole up to 576 bytes, which is what the allocator has.
const windowSize = 576 - 32

// window is a small stretch of a client's bytes: those that have been read and
// not been understood yet. It takes what one read gives, which may be part of a
// message or several messages and the payload behind them, so that a message
// costs one system call.
type window struct {
	conn     core.Stream
	from, to int // the bytes are b[from:to]
	b        [windowSize]byte
}

// next returns the next message of the client. parse gets the bytes from the
// message's first on; it returns the message and its length, or ErrShort if
// they are too few, and is called again with more of them then. An error has
// the name of the message before it.
//
// The message may alias the window: it is valid until next is called again.
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
			return nil // an error comes again when there is need of more
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

// rest returns the bytes that belong to no message, nil if there are none. They
// alias the window, which is not used any more then.
func (w *window) rest() []byte {
	if w.from == w.to {
		return nil
	}
	return w.b[w.from:w.to:w.to]
}

// ended marks an error of the connection as ErrShort: the client ended, broke
// or was too slow. A connection that we closed ourselves says nothing of the
// client.
func ended(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", core.ErrShort, err)
}
