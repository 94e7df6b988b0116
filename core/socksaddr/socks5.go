package socksaddr

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// Version is that of SOCKS5 (RFC 1928 §3), LoginVersion that of its login by password
// (RFC 1929 §2).
const (
	Version      = 5
	LoginVersion = 1
)

// Methods of authentication (RFC 1928 §3).
const (
	MethodNone     = 0x00
	MethodPassword = 0x02
	MethodRefused  = 0xff
)

// Results of a login (RFC 1929 §2): 0 is success, all else is failure.
const (
	LoginSuccess = 0x00
	LoginFailure = 0x01
)

// Commands (RFC 1928 §4; the last two are Tor's, socks-extensions.txt §2).
const (
	CmdConnect     = 1
	CmdBind        = 2
	CmdAssociate   = 3
	CmdResolve     = 0xf0
	CmdResolveName = 0xf1 // RESOLVE_PTR
)

// Replies (RFC 1928 §6).
const (
	RepSuccess         = 0x00
	RepFailure         = 0x01
	RepNotAllowed      = 0x02
	RepNetUnreachable  = 0x03
	RepHostUnreachable = 0x04
	RepRefused         = 0x05
	RepExpired         = 0x06
	RepBadCommand      = 0x07
	RepBadAddrType     = 0x08
)

// DatagramHead is the size of the fields before the address of a datagram in bytes.
const DatagramHead = 3

// Datagram is the PacketSealer that prefixes datagrams with the header of SOCKS5, which has
// the target of a client's datagram, and the source of an answer:
//
//	+-----+------+------+----------+----------+------+
//	| RSV | FRAG | ATYP | DST.ADDR | DST.PORT | DATA |
//	|  0  |  0   |  1B  | variable |  2B be   |      |
//	+-----+------+------+----------+----------+------+
//
// RSV has 2 bytes, FRAG one. See RFC 1928 §7.
type Datagram struct{}

var _ core.PacketSealer = Datagram{}

// Overhead returns the length of the header.
func (Datagram) Overhead(a core.Addr) int { return DatagramHead + Len(a) }

// AppendPacket appends the header with a, and the payload. It returns an ErrMalformed
// without an address.
func (Datagram) AppendPacket(dst, payload []byte, a core.Addr) ([]byte, error) {
	if !a.IsValid() {
		return nil, fmt.Errorf("%w: no address", core.ErrMalformed)
	}
	return append(Append(append(dst, 0, 0, 0), a), payload...), nil
}

// CutDatagram returns what follows the reserved field and the fragment number of a datagram:
// the address and the data. It returns an ErrMalformed for a reserved field other than 0,
// and an ErrDenied for a fragment, as RFC 1928 §7 allows. The result aliases b.
func CutDatagram(b []byte) ([]byte, error) {
	switch {
	case len(b) < DatagramHead:
		return nil, fmt.Errorf("%w: datagram of %d bytes", core.ErrMalformed, len(b))
	case b[0] != 0 || b[1] != 0:
		return nil, fmt.Errorf("%w: reserved field %x", core.ErrMalformed, b[:2])
	case b[2] != 0:
		return nil, fmt.Errorf("%w: fragment %d", core.ErrDenied, b[2])
	}
	return b[DatagramHead:], nil
}
