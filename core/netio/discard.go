package netio

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// discardWait is how long DiscardReceived waits where it can't read without a wait.
const discardWait = time.Millisecond

// DiscardReceived reads and discards what the kernel has received for the connection
// below s, at most most bytes, whether the deadline of s has passed or not. It waits for
// nothing, or for a millisecond where the system offers nothing better. s is closed after
// it: a protocol on the connection has lost bytes.
func DiscardReceived(s core.Stream, most int) {
	buf := BorrowSmallBuffer()
	defer buf.Return()
	if c := TCP(s); c != nil {
		if raw, err := c.SyscallConn(); err == nil && discardNow(raw, buf.B, most) {
			return
		}
	}
	for most > 0 {
		_ = s.SetReadDeadline(time.Now().Add(discardWait))
		n, err := s.Read(buf.B)
		if err != nil {
			return
		}
		most -= n
	}
}
