//go:build !linux

package netio

import "syscall"

// inheritsKeepAlive tells that accepted connections need not have the options
// of the listening socket.
const inheritsKeepAlive = false

func listenKeepAlive(_, _ string, _ syscall.RawConn) error { return nil }
