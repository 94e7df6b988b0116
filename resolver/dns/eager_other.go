//go:build !linux

package dns

import "net"

// newEager returns conn itself on systems without TCP_QUICKACK.
func newEager(conn *net.TCPConn) net.Conn { return conn }
