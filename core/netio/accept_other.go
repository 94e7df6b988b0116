//go:build !linux

package netio

import "syscall"

// inheritsKeepAlive reports whether accepted connections inherit the options of the
// listening socket. Outside of Linux that is not certain.
const inheritsKeepAlive = false

func listenKeepAlive(_, _ string, _ syscall.RawConn) error { return nil }
