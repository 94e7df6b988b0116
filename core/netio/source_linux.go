package netio

import (
	"net"
	"os"
	"syscall"
	"unsafe"

	"github.com/umbra-proxy/umbra/core"
	"golang.org/x/sys/unix"
)

// vector is the scratch of readv.
type vector [maxPieces]unix.Iovec

// rawConn returns the descriptor of a bare stream, or nil.
func rawConn(s core.Stream) syscall.RawConn {
	tcp := Bare(s)
	if tcp == nil {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readPieces reads once into the pieces of b, without blocking. It returns 0 and nil at
// the end of the stream. unix.Readv is not used because it allocates a vector at each
// call.
func readPieces(fd uintptr, b *Buffer) (int, error) {
	for i, p := range b.Pieces {
		b.iov[i].Base = &p[0]
		b.iov[i].SetLen(len(p))
	}
	for {
		n, _, errno := unix.Syscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&b.iov)), uintptr(len(b.Pieces)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// readable reports whether a read of fd would not block.
func readable(fd uintptr) bool {
	_, err := peek(fd, 1)
	return err != unix.EAGAIN
}

// peek reads the next bytes of fd, most at the most and at most maxWaitBytes, and leaves
// them in the receive buffer. It returns their number: 0 and nil at the end of the
// stream, EAGAIN if no bytes have arrived.
func peek(fd uintptr, most int) (int, error) {
	var bytes [maxWaitBytes]byte
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&bytes)), uintptr(most), unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// wireError returns errno as a *net.OpError, as package net does.
func wireError(op string, s net.Conn, errno error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}

// setReceiveLow sets the number of bytes from which on fd counts as readable, and reports
// whether it could.
func setReceiveLow(fd uintptr, n int) bool {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) == nil
}

// hasEnded reports whether the peer has sent its last byte, or the connection has failed.
func hasEnded(fd uintptr) bool {
	return hasEvent(fd, unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR)
}
