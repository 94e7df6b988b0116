//go:build !linux

package netio

import (
	"github.com/umbra-proxy/umbra/core"
	"syscall"
)

// vector is empty where there is no vectored read.
type vector struct{}

// rawConn returns nil: elsewhere than on Linux every stream is read by Read,
// with a small buffer held while it waits.
func rawConn(core.Stream) syscall.RawConn { return nil }

func readPieces(uintptr, *Buffer) (int, error) { return 0, syscall.EINVAL }

func readable(uintptr) bool { return true }

func wireError(_ string, _ core.Stream, err error) error { return err }
