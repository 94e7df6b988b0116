package netio

import (
	"net"
	"net/netip"
)

// remoteAddr returns the address at the other end of conn, IPv4 unmapped.
func RemoteAddr(conn *net.TCPConn) netip.AddrPort {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return Unmap(tcp.AddrPort())
}

// unmapped returns ap with an IPv4 address that is mapped into IPv6 as IPv4.
func Unmap(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
