package direct

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// A PROXY header contains the client's address as source, and the dialled address as
// destination. Without a known client the header marks the connection as the proxy's
// own. The format is that of haproxy's proxy-protocol.txt, section 2.

// headerLine returns a header of version 1, a line of text.
func headerLine(r *core.Request, to netip.AddrPort) []byte {
	source, known := clientOf(r)
	if !known {
		return []byte("PROXY UNKNOWN\r\n")
	}
	family := "TCP4"
	if !bothIPv4(source, to) {
		family, source, to = "TCP6", asIPv6(source), asIPv6(to)
	}
	return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, source.Addr(), to.Addr(), source.Port(), to.Port())
}

// Fields of version 2.
const (
	signature    = "\r\n\r\n\x00\r\nQUIT\n"
	commandLocal = 0x20
	commandProxy = 0x21
	familyNone   = 0x00
	familyTCP4   = 0x11
	familyTCP6   = 0x21
)

// binaryHeader returns a header of version 2:
//
//	+-----------+---------+--------+--------+--------+-------------+-------+-------+
//	| signature | command | family | length | source | destination | sport | dport |
//	|    12B    |   1B    |   1B   | 2B be  | 4/16B  |    4/16B    | 2B be | 2B be |
//	+-----------+---------+--------+--------+--------+-------------+-------+-------+
//
// length is the size of the fields after it: 12 or 36, and 0 without a client.
func binaryHeader(r *core.Request, to netip.AddrPort) []byte {
	header := append(make([]byte, 0, 16+36), signature...)
	source, known := clientOf(r)
	if !known {
		return append(header, commandLocal, familyNone, 0, 0)
	}
	if bothIPv4(source, to) {
		header = append(header, commandProxy, familyTCP4, 0, 12)
	} else {
		header = append(header, commandProxy, familyTCP6, 0, 36)
		source, to = asIPv6(source), asIPv6(to)
	}
	header = append(header, source.Addr().AsSlice()...)
	header = append(header, to.Addr().AsSlice()...)
	header = binary.BigEndian.AppendUint16(header, source.Port())
	return binary.BigEndian.AppendUint16(header, to.Port())
}

// clientOf returns the client of r, if one is known.
func clientOf(r *core.Request) (netip.AddrPort, bool) {
	return r.Client.Addr, r.Client.Addr.IsValid() && !r.Client.Unattributed
}

func bothIPv4(a, b netip.AddrPort) bool { return a.Addr().Is4() && b.Addr().Is4() }

// asIPv6 returns ap with its address in 16 bytes, IPv4 in mapped form, and without a
// zone, which has no meaning on another machine.
func asIPv6(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(ap.Addr().As16()), ap.Port())
}
