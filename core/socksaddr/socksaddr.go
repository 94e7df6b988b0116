// Package socksaddr has the form of an address that SOCKS5 and Shadowsocks share
// (RFC 1928 §5), and what both ends of SOCKS5 share: its numbers and the header of its
// datagrams.
package socksaddr

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// Address types (RFC 1928 §5).
const (
	atypIPv4   = 1
	atypDomain = 3
	atypIPv6   = 4
)

// MaxLen is the longest address on the wire in bytes: type, length, a name
// of 255 bytes and the port.
const MaxLen = 1 + 1 + 255 + 2

// Append appends a in the form that SOCKS5 and Shadowsocks share:
//
//	+------+----------+---------+
//	| ATYP |   ADDR   |  PORT   |
//	|  1B  | variable | 2B be   |
//	+------+----------+---------+
//
// ATYP is 1 for IPv4 (4 B), 4 for IPv6 (16 B), 3 for a name (1 B of length,
// then the name). See RFC 1928 §5.
func Append(b []byte, a core.Addr) []byte {
	switch {
	case a.Name() != "":
		b = append(b, atypDomain, byte(len(a.Name())))
		b = append(b, a.Name()...)
	case a.IP().Is4():
		ip := a.IP().As4()
		b = append(append(b, atypIPv4), ip[:]...)
	default:
		ip := a.IP().As16()
		b = append(append(b, atypIPv6), ip[:]...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// Decode is the inverse: it reads the address that b begins with and returns it
// with its length in bytes. It returns ErrShort if b ends before the address
// does, ErrAddrType for a type other than 1, 3 and 4 (flag bits are not
// masked), ErrMalformed for a name that is no host name. An IP literal sent as
// a name becomes that address. Decode keeps no part of b.
func Decode(b []byte) (core.Addr, int, error) {
	if len(b) == 0 {
		return core.Addr{}, 0, core.ErrShort
	}
	var host, rest []byte
	switch b[0] {
	case atypIPv4:
		host, rest = cutAt(b[1:], 4)
	case atypIPv6:
		host, rest = cutAt(b[1:], 16)
	case atypDomain:
		if len(b) < 2 {
			return core.Addr{}, 0, core.ErrShort
		}
		if b[1] == 0 {
			return core.Addr{}, 0, fmt.Errorf("%w: empty host name", core.ErrMalformed)
		}
		host, rest = cutAt(b[2:], int(b[1]))
	default:
		return core.Addr{}, 0, fmt.Errorf("%w 0x%02x", core.ErrAddrType, b[0])
	}
	if len(rest) < 2 {
		return core.Addr{}, 0, core.ErrShort
	}
	port, n := binary.BigEndian.Uint16(rest), len(b)-len(rest)+2
	if b[0] != atypDomain {
		ip, _ := netip.AddrFromSlice(host)
		return core.AddrFrom(netip.AddrPortFrom(ip, port)), n, nil
	}
	a, err := core.NewAddr(string(host), port)
	return a, n, err
}

// cutAt splits b after n bytes; both halves are nil if b is shorter.
func cutAt(b []byte, n int) (head, tail []byte) {
	if len(b) < n {
		return nil, nil
	}
	return b[:n], b[n:]
}

// Size returns the length in bytes of an address on the wire of which the type and the byte
// behind it are known. It returns ErrAddrType for a type other than 1, 3 and 4.
func Size(atyp, next byte) (int, error) {
	switch atyp {
	case atypIPv4:
		return 1 + 4 + 2, nil
	case atypIPv6:
		return 1 + 16 + 2, nil
	case atypDomain:
		return 1 + 1 + int(next) + 2, nil
	}
	return 0, fmt.Errorf("%w 0x%02x", core.ErrAddrType, atyp)
}
