package netio

import (
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// WaitGone waits until the peer of s has gone: s is reset or broken, or the peer has
// ended its direction and end says that this means the same. It returns why, io.EOF for an
// end. It reads no bytes, and nothing else may read s meanwhile. It returns nil if s can't
// be waited on in this way, was closed, or has passed its read deadline.
func WaitGone(s net.Conn, end EndOf) error {
	return waitFor(s, func(fd uintptr) (why error, over bool) {
		why = gone(fd, s, end)
		return why, why != nil
	})
}

// gone returns why the peer of fd, which is s, has gone, or nil.
func gone(fd uintptr, s net.Conn, end EndOf) error {
	if why, over := broken(fd, s); over {
		if why == nil { // a write has returned the error
			why = wireError("read", s, unix.ECONNRESET)
		}
		return why
	}
	if end == EndIsHalf {
		return nil
	}
	n, err := peek(fd, 1)
	switch {
	case n > 0, err == unix.EAGAIN:
		return nil
	case err != nil:
		return wireError("read", s, err)
	}
	return io.EOF
}
