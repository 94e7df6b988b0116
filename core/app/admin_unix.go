//go:build unix

package app

import (
	"os"
	"syscall"
)

// privately listens so that at no instant anybody else may open the socket.
func privately[L any](listen func() (L, error), path string) (made L, err error) {
	before := syscall.Umask(0o177)
	ln, err := listen()
	syscall.Umask(before)
	if err != nil {
		return ln, err
	}
	return ln, os.Chmod(path, 0o600)
}
