//go:build !unix

package netio

import "syscall"

// discardNow returns false: it can't read without a wait.
func discardNow(syscall.RawConn, []byte, int) bool { return false }
