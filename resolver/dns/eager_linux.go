package dns

import (
	"net"
	"syscall"
)

// eager is a connection on which the kernel acknowledges received segments at once. A
// server that sends two answers one after the other may delay the second until the
// first is acknowledged, which takes 40 ms by default.
type eager struct {
	*net.TCPConn
	raw syscall.RawConn
}

func newEager(conn *net.TCPConn) net.Conn {
	raw, err := conn.SyscallConn()
	if err != nil {
		return conn
	}
	return &eager{conn, raw}
}

// Read sets TCP_QUICKACK each time, because the option lasts only for a few segments.
func (e *eager) Read(b []byte) (int, error) {
	n, err := e.TCPConn.Read(b)
	if n > 0 {
		_ = e.raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) })
	}
	return n, err
}
