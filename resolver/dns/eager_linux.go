package dns

import (
	"net"
	"syscall"
)

// eager is a connection whose kernel acknowledges at once what has come. A server
// that sends two answers, one after the other, may hold the second back until the
// first is acknowledged, which by default takes 40 ms.
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

// Read asks for it again each time: the kernel takes it for a hint that lasts for a
// few segments.
func (e *eager) Read(b []byte) (int, error) {
	n, err := e.TCPConn.Read(b)
	if n > 0 {
		_ = e.raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) })
	}
	return n, err
}
