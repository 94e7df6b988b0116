package netio

import (
	"github.com/umbra-proxy/umbra/core"
	"golang.org/x/sys/unix"
)

// sendQueue returns how many bytes the kernel has yet to deliver to the peer of
// s, or 0 where that can't be known.
func SendQueue(s core.Stream) int {
	tcp := TCP(s)
	if tcp == nil {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	// An error leaves n at 0: the connection is closed.
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
	return n
}
