//go:build !linux

package dns

import "net"

// newEager returns conn itself where the kernel can't be asked to acknowledge at
// once.
func newEager(conn *net.TCPConn) net.Conn { return conn }
