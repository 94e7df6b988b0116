//go:build unix

package netio

import "syscall"

// discardNow reads at most most bytes, in pieces of buf, until there are no more. It
// returns true.
func discardNow(raw syscall.RawConn, buf []byte, most int) bool {
	_ = raw.Control(func(fd uintptr) {
		for most > 0 {
			n, err := syscall.Read(int(fd), buf) // the descriptor does not block
			switch {
			case err == syscall.EINTR:
			case n <= 0:
				return
			default:
				most -= n
			}
		}
	})
	return true
}
