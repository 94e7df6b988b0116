package netio

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Control sets the options on a socket that is not bound yet. It is the Control of a
// net.Dialer or a net.ListenConfig; the source address is its LocalAddr.
func (o SocketOptions) Control(network, _ string, c syscall.RawConn) error {
	if o == (SocketOptions{}) {
		return nil
	}
	inet6 := strings.HasSuffix(network, "6")
	var err error
	control := c.Control(func(fd uintptr) {
		if err = o.set(int(fd), inet6); err == nil && o.hasSource() {
			err = bindWithoutPort(int(fd))
		}
		if err == nil && o.FastOpen && strings.HasPrefix(network, "tcp") {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1))
		}
	})
	if control != nil {
		return control
	}
	return err
}

// Supported returns an error for options that this system lacks.
func (o SocketOptions) Supported() error { return nil }

// set sets the options on an IPv6 or IPv4 socket. A socket of both families needs only
// the IPv6 options: the kernel has one flag for both.
func (o SocketOptions) set(fd int, inet6 bool) error {
	if o == (SocketOptions{}) {
		return nil
	}
	level, transparent, freeBind := unix.IPPROTO_IP, unix.IP_TRANSPARENT, unix.IP_FREEBIND
	if inet6 {
		level, transparent, freeBind = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, unix.IPV6_FREEBIND
	}
	for _, option := range []struct {
		name string
		ask  bool
		set  func() error
	}{
		{"transparent", o.Transparent, func() error { return unix.SetsockoptInt(fd, level, transparent, 1) }},
		{"free bind", o.FreeBind, func() error { return unix.SetsockoptInt(fd, level, freeBind, 1) }},
		{"mark", o.Mark != 0, func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(int32(o.Mark))) }},
		{"interface " + o.Interface, o.Interface != "", func() error { return unix.BindToDevice(fd, o.Interface) }},
	} {
		if !option.ask {
			continue
		}
		if err := option.set(); err != nil {
			return fmt.Errorf("socket option %s: %w", option.name, os.NewSyscallError("setsockopt", err))
		}
	}
	return nil
}

// bindWithoutPort makes a bind to port 0 choose no port, because that port would have
// to be free for every destination. The kernel chooses the port when the socket
// connects.
func bindWithoutPort(fd int) error {
	err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if errors.Is(err, unix.ENOPROTOOPT) { // before Linux 4.2
		return nil
	}
	return os.NewSyscallError("setsockopt", err)
}
