package netio

import (
	"github.com/umbra-proxy/umbra/core"
	"golang.org/x/sys/unix"
)

// SendQueue returns how many bytes of s the kernel has not yet delivered to the peer,
// or 0 if the kernel can't report that.
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
