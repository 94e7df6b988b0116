//go:build !linux

package core

import "syscall"

// vector is empty where there is no vectored read.
type vector struct{}

// rawConn returns nil: elsewhere than on Linux every stream is read by Read,
// with a small buffer held while it waits.
func rawConn(Stream) syscall.RawConn { return nil }

func readPieces(uintptr, *Buffer) (int, error) { return 0, syscall.EINVAL }

func readable(uintptr) bool { return true }

func wireError(_ string, _ Stream, err error) error { return err }
