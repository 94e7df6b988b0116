//go:build !unix

package netio

import "syscall"

// discardNow returns false for ok: it can't read without a wait.
func discardNow(syscall.RawConn, []byte, int) (n int, over, ok bool) { return 0, false, false }
