//go:build unix

package netio

import "syscall"

// discardNow reads at most most bytes, in pieces of buf, until there are no more. It
// returns how many those were, whether the connection has ended behind them, and true.
func discardNow(raw syscall.RawConn, buf []byte, most int) (n int, over, ok bool) {
	err := raw.Control(func(fd uintptr) {
		for n < most {
			got, err := syscall.Read(int(fd), buf[:min(len(buf), most-n)]) // the descriptor does not block
			switch {
			case err == syscall.EINTR:
			case got <= 0:
				over = err != syscall.EAGAIN
				return
			default:
				n += got
			}
		}
	})
	return n, over || err != nil, true // an error says that it is closed
}
