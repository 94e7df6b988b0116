//go:build !linux

package netio

import "net"

// Received returns false: this system's kernel is not queried.
func Received(*net.TCPConn) (uint64, bool) { return 0, false }
