//go:build !linux

package netio

import (
	"syscall"

	"github.com/umbra-proxy/umbra/core"
)

// vector is empty: this system has no vectored read.
type vector struct{}

// rawConn returns nil: outside of Linux every stream is read by Read, and a small buffer
// is held during the wait.
func rawConn(core.Stream) syscall.RawConn { return nil }

func readPieces(uintptr, *Buffer) (int, error) { return 0, syscall.EINVAL }

func readable(uintptr) bool { return true }

func peek(_ uintptr, most int) (int, error) { return most, nil }

func setReceiveLow(uintptr, int) bool { return false }

func hasEnded(uintptr) bool { return true }

func wireError(_ string, _ core.Stream, err error) error { return err }
