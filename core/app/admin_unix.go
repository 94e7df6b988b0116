//go:build unix

package app

import (
	"net"
	"os"
	"syscall"
)

// privately listens so that at no instant anybody else may open the socket.
func privately(listen func() (net.Listener, error), path string) (net.Listener, error) {
	before := syscall.Umask(0o177)
	ln, err := listen()
	syscall.Umask(before)
	if err != nil {
		return nil, err
	}
	return ln, os.Chmod(path, 0o600)
}
