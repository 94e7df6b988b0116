//go:build !linux

package netio

import "syscall"

// Control sets the options on a socket that is not bound yet. It is the Control of a
// net.Dialer or a net.ListenConfig; the source address is its LocalAddr.
func (o SocketOptions) Control(_, _ string, _ syscall.RawConn) error { return o.Supported() }

// Supported returns an error for options that this system lacks.
func (o SocketOptions) Supported() error {
	switch {
	case o.Transparent:
		return unsupported("transparent")
	case o.FreeBind:
		return unsupported("free bind")
	case o.Mark != 0:
		return unsupported("mark")
	case o.Interface != "":
		return unsupported("interface")
	case o.FastOpen:
		return unsupported("fast open")
	}
	return nil
}
