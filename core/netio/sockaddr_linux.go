//go:build linux && !portable

package netio

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// addrPort converts a socket address of either family.
func addrPort(raw *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16(unsafe.Slice((*byte)(unsafe.Pointer(&raw.Port)), 2))
	if raw.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(raw)).Addr), port)
	}
	ip := netip.AddrFrom16(raw.Addr).Unmap()
	if raw.Scope_id != 0 && ip.Is6() {
		ip = ip.WithZone(strconv.FormatUint(uint64(raw.Scope_id), 10))
	}
	return netip.AddrPortFrom(ip, port)
}

// readAddrPort converts a socket address of either family in control data, which need
// not be aligned as the address is.
func readAddrPort(body []byte) netip.AddrPort {
	var raw unix.RawSockaddrInet6
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&raw)), unix.SizeofSockaddrInet6), body)
	return addrPort(&raw)
}
