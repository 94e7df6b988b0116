// Package overstream carries the datagrams of an association in a stream, for networks that
// drop UDP. The form is that of UDP over TCP of sing-box, version 2, and for servers version 1
// too: https://sing-box.sagernet.org/configuration/shared/udp-over-tcp/.
//
// A client asks a proxy for one of two names that nobody has. In version 2 a header follows:
// a byte that is 1 if all datagrams have one target, and a target in the form of SOCKS5. Then
// come the datagrams, each with its length of two bytes, and before that its address unless
// there is one target.
package overstream

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// The names that a client asks for.
const (
	name2 = "sp.v2.udp-over-tcp.arpa"
	name1 = "sp.udp-over-tcp.arpa"
)

// Target returns what a client asks its server for.
func Target() core.Addr {
	target, _ := core.NewAddr(name2, 0) // a name is valid
	return target
}

// Version returns 1 or 2 for a target that asks for datagrams over the stream, and else 0.
func Version(target core.Addr) int {
	switch target.Name() {
	case name2:
		return 2
	case name1:
		return 1
	}
	return 0
}

// The types of addresses before datagrams. They are not those of SOCKS5.
const (
	typeIPv4 = 0
	typeIPv6 = 1
	typeName = 2
)

// maxHeader is the longest header of a request, and of a datagram, in bytes.
const maxHeader = 1 + 1 + 1 + 255 + 2 + 2

// appendRequest appends the header of version 2 for datagrams with addresses.
func appendRequest(b []byte, first core.Addr) []byte {
	return socksaddr.Append(append(b, 0), first)
}

// parseRequest parses a header of version 2. It returns an ErrShort if more bytes are
// needed. to is valid if all datagrams have that target.
func parseRequest(b []byte) (to core.Addr, n int, err error) {
	if len(b) == 0 {
		return core.Addr{}, 0, core.ErrShort
	}
	if b[0] > 1 {
		return core.Addr{}, 0, fmt.Errorf("%w: UDP over a stream: the first byte is %d", core.ErrMalformed, b[0])
	}
	to, n, err = socksaddr.Decode(b[1:])
	if err != nil {
		return core.Addr{}, 0, err
	}
	if b[0] == 0 {
		to = core.Addr{}
	}
	return to, 1 + n, nil
}

// appendFrame appends a datagram. With one target it has no address.
func appendFrame(b []byte, p core.Packet, one bool) []byte {
	if !one {
		b = appendAddr(b, p.Addr)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Data)))
	return append(b, p.Data...)
}

func appendAddr(b []byte, a core.Addr) []byte {
	switch ip := a.IP(); {
	case ip.Is4():
		v4 := ip.As4()
		b = append(append(b, typeIPv4), v4[:]...)
	case ip.IsValid():
		v6 := ip.As16()
		b = append(append(b, typeIPv6), v6[:]...)
	default:
		b = append(append(b, typeName, byte(len(a.Name()))), a.Name()...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// parseFrame parses a datagram, whose Data aliases b. to is its target, if all have one. It
// returns an ErrShort if more bytes are needed.
func parseFrame(b []byte, to core.Addr) (p core.Packet, n int, err error) {
	if !to.IsValid() {
		if to, n, err = parseAddr(b); err != nil {
			return core.Packet{}, 0, err
		}
	}
	if len(b) < n+2 {
		return core.Packet{}, 0, core.ErrShort
	}
	size := int(binary.BigEndian.Uint16(b[n:]))
	n += 2
	if len(b) < n+size {
		return core.Packet{}, 0, core.ErrShort
	}
	return core.Packet{Addr: to, Data: b[n : n+size : n+size]}, n + size, nil
}

func parseAddr(b []byte) (a core.Addr, n int, err error) {
	if len(b) == 0 {
		return core.Addr{}, 0, core.ErrShort
	}
	size, begin := 0, 1
	switch b[0] {
	case typeIPv4:
		size = 4
	case typeIPv6:
		size = 16
	case typeName:
		if len(b) < 2 {
			return core.Addr{}, 0, core.ErrShort
		}
		size, begin = int(b[1]), 2
	default:
		return core.Addr{}, 0, fmt.Errorf("%w: UDP over a stream: type %d", core.ErrAddrType, b[0])
	}
	n = begin + size + 2
	if len(b) < n {
		return core.Addr{}, 0, core.ErrShort
	}
	host, port := b[begin:begin+size], binary.BigEndian.Uint16(b[begin+size:])
	if b[0] == typeName {
		a, err = core.NewAddr(string(host), port)
		return a, n, err
	}
	ip, _ := netip.AddrFromSlice(host)
	return core.NewIPAddr(ip, port), n, nil
}
