package netio

import (
	"net"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"golang.org/x/sys/unix"
)

// KnowsSendQueue says whether SendQueue can tell what has been delivered.
const KnowsSendQueue = true

// SendQueue returns how many bytes of s the peer's kernel has not acknowledged, or 0 if
// the connection has ended or is no TCP connection.
func SendQueue(s core.Stream) int {
	raw := rawUnder(s)
	if raw == nil {
		return 0
	}
	n := 0
	// An error leaves n at 0: the connection is closed.
	_ = raw.Control(func(fd uintptr) {
		if hasEvent(fd, unix.POLLHUP) && tcpState(fd) == tcpClose { // the kernel keeps the last count of a connection that was reset
			return
		}
		n, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	})
	return n
}

// WaitReset waits until s, whose peer has ended its direction, is reset or broken, and
// returns why. It returns nil if s can't be waited on in this way, is closed, or has ended
// in order.
func WaitReset(s core.Stream) error {
	return waitFor(s, func(fd uintptr) (why error, over bool) { return broken(fd, s) })
}

// waitFor waits until look says that it is over, and returns why. look is called whenever
// the connection under s has news. waitFor returns nil if s can't be waited on in this way,
// was closed, or has passed its read deadline.
func waitFor(s net.Conn, look func(fd uintptr) (why error, over bool)) error {
	raw := rawUnder(s)
	if raw == nil {
		return nil
	}
	var why error
	if raw.Read(func(fd uintptr) (over bool) { why, over = look(fd); return over }) != nil {
		return nil
	}
	return why
}

// rawUnder returns the descriptor of the TCP connection under s, or nil.
func rawUnder(s net.Conn) syscall.RawConn {
	tcp := TCP(s)
	if tcp == nil {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// broken reports whether the connection of fd, which is s, was reset or is broken, and why.
func broken(fd uintptr, s net.Conn) (why error, over bool) {
	if !hasEvent(fd, unix.POLLERR|unix.POLLHUP) || tcpState(fd) != tcpClose {
		return nil, false
	}
	if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && n != 0 {
		why = wireError("read", s, unix.Errno(n))
	}
	return why, true
}

// WasReset reports whether s, which has not been closed for writing, is a connection that
// was reset. A read of such a connection returns io.EOF if a write has returned the reset.
func WasReset(s core.Stream) bool {
	raw := rawUnder(s)
	if raw == nil {
		return false
	}
	reset := false
	_ = raw.Control(func(fd uintptr) { // most have no event, which is cheaper to ask
		reset = hasEvent(fd, unix.POLLERR|unix.POLLHUP) && tcpState(fd) == tcpClose
	})
	return reset
}

// tcpClose is the state of a connection that was reset or broken, TCP_CLOSE of
// linux/tcp_states.h.
const tcpClose = 7

func tcpState(fd uintptr) uint8 {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return info.State
}

// hasEvent reports whether fd has one of the events of poll(2).
func hasEvent(fd uintptr, events int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return n > 0 && fds[0].Revents&events != 0
		}
	}
}
