package netio

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// inheritsKeepAlive reports whether accepted connections inherit the options of the
// listening socket. On Linux they do.
const inheritsKeepAlive = true

// listenKeepAlive sets keep-alive on a listening socket. On Linux accepted
// connections inherit the setting, which saves four system calls a connection.
func listenKeepAlive(_, _ string, c syscall.RawConn) error {
	ka := KeepAlive()
	var err error
	control := c.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(ka.Idle / time.Second)},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(ka.Interval / time.Second)},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, ka.Count},
		} {
			if e := unix.SetsockoptInt(int(fd), o.level, o.name, o.value); e != nil && err == nil {
				err = e
			}
		}
	})
	if control != nil {
		return control
	}
	return err
}
