package netio

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// soOriginalDst is SO_ORIGINAL_DST of linux/netfilter_ipv4.h, and
// IP6T_SO_ORIGINAL_DST of linux/netfilter_ipv6/ip6_tables.h.
const soOriginalDst = 80

// OriginalDestination returns the address that the client of an accepted connection
// dialled, IPv4 unmapped. For a connection that a REDIRECT or DNAT rule of netfilter
// redirected, the address comes from the kernel's connection tracking. For any other
// connection it is the local address: with TPROXY that is the address that the client
// dialled. If the client dialled the listener itself, it is an address of this
// machine.
func OriginalDestination(conn *net.TCPConn) (netip.AddrPort, error) {
	tcp, ok := conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, net.ErrClosed
	}
	local := Unmap(tcp.AddrPort())
	raw, err := conn.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var to netip.AddrPort
	if control := raw.Control(func(fd uintptr) { to, err = redirectedFrom(int(fd), local.Addr().Is4()) }); control != nil {
		return netip.AddrPort{}, control
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.EOPNOTSUPP): // not redirected, or without conntrack
		return local, nil
	case err != nil:
		return netip.AddrPort{}, os.NewSyscallError("getsockopt", err)
	}
	return to, nil
}

// redirectedFrom queries the connection tracking of netfilter. Package unix has no
// call that reads a socket address; the calls used here read at least as many bytes.
func redirectedFrom(fd int, is4 bool) (netip.AddrPort, error) {
	if is4 {
		// struct sockaddr_in in the place of a struct ipv6_mreq: family, port in
		// network order and address, 2, 2 and 4 bytes.
		m, err := unix.GetsockoptIPv6Mreq(fd, unix.IPPROTO_IP, soOriginalDst)
		if err != nil {
			return netip.AddrPort{}, err
		}
		b := m.Multiaddr
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4])), nil
	}
	m, err := unix.GetsockoptIPv6MTUInfo(fd, unix.IPPROTO_IPV6, soOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port := *(*[2]byte)(unsafe.Pointer(&m.Addr.Port)) // in network order
	return netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), binary.BigEndian.Uint16(port[:])), nil
}
