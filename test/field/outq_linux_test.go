package field

import "golang.org/x/sys/unix"

// outQueue returns how many bytes of a socket the peer's kernel has yet to acknowledge.
func outQueue(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
