package netio

import (
	"net"
	"net/netip"
)

// RemoteAddr returns the peer's address of conn, IPv4 unmapped.
func RemoteAddr(conn *net.TCPConn) netip.AddrPort {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return Unmap(tcp.AddrPort())
}

// Unmap returns ap with an IPv4-mapped IPv6 address as IPv4.
func Unmap(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
