//go:build !linux

package netio

import "net"

// received reports false where the kernel is not asked.
func Received(*net.TCPConn) (uint64, bool) { return 0, false }
