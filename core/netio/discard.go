package netio

import (
	"errors"
	"os"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// discardWait is how long DiscardReceived waits where it can't read without a wait.
const discardWait = time.Millisecond

// DiscardReceived reads and discards what the kernel has received for the connection
// below s, at most most bytes, whether the deadline of s has passed or not. It waits for
// nothing, or for a millisecond where the system offers nothing better. It returns how many
// bytes that were, and whether the connection has ended behind them. s is closed after
// it: a protocol on the connection has lost bytes.
func DiscardReceived(s core.Stream, most int) (n int, over bool) {
	buf := BorrowSmallBuffer()
	defer buf.Return()
	if c := TCP(s); c != nil {
		raw, err := c.SyscallConn()
		if err != nil {
			return 0, true // it is closed
		}
		if n, over, ok := discardNow(raw, buf.B, most); ok {
			return n, over
		}
	}
	for n < most {
		_ = s.SetReadDeadline(time.Now().Add(discardWait))
		got, err := s.Read(buf.B[:min(len(buf.B), most-n)])
		n += got
		if err != nil {
			return n, !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
	return n, false
}
