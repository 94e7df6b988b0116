package netio

import (
	"net"

	"golang.org/x/sys/unix"
)

// Received returns how many bytes have arrived on a connection, read or not. It
// returns false if the kernel can't report that.
func Received(conn *net.TCPConn) (uint64, bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	if raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO) }) != nil || err != nil {
		return 0, false // the connection is closed
	}
	n := info.Bytes_received
	if n > 0 && info.State == closeWait {
		n-- // the kernel counts the FIN as one byte
	}
	return n, true
}

// closeWait is the state of a connection whose peer has sent a FIN: TCP_CLOSE_WAIT.
const closeWait = 8
