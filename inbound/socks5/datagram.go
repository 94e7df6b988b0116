package socks5

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// headSize is the size of the fields before the address of a datagram in bytes.
const headSize = 3

// memo parses the datagrams of all clients of an inbound.
type memo struct{ addrs socksaddr.Memo }

// parse parses a datagram of a client:
//
//	+-----+------+------+----------+----------+------+
//	| RSV | FRAG | ATYP | DST.ADDR | DST.PORT | DATA |
//	| 2B  |  1B  |  1B  | variable |  2B be   |      |
//	+-----+------+------+----------+----------+------+
//
// Data of the packet aliases b. parse refuses a fragment, as RFC 1928 §7 allows, a
// reserved field other than 0, and port 0. The error is an ErrMalformed or an ErrDenied.
func (m *memo) parse(b []byte) (core.Packet, error) {
	if len(b) < headSize {
		return core.Packet{}, fmt.Errorf("%w: datagram of %d bytes", core.ErrMalformed, len(b))
	}
	if b[0] != 0 || b[1] != 0 {
		return core.Packet{}, fmt.Errorf("%w: reserved field %x", core.ErrMalformed, b[:2])
	}
	if b[2] != 0 {
		return core.Packet{}, fmt.Errorf("%w: fragment %d", core.ErrDenied, b[2])
	}
	target, n, err := decode(m.addrs.Decode).target(b[headSize:])
	if err != nil {
		return core.Packet{}, fmt.Errorf("%w: target: %w", core.ErrMalformed, err)
	}
	if target.Port() == 0 {
		return core.Packet{}, fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, target)
	}
	return core.Packet{Addr: target, Data: b[headSize+n:]}, nil
}

// header is the PacketSealer that prefixes answers with the header of a datagram.
type header struct{}

var _ core.PacketSealer = header{}

// Overhead returns the length of the header.
func (header) Overhead(source core.Addr) int { return headSize + socksaddr.Len(source) }

// AppendPacket appends an answer in the format of memo.parse, with the source in place
// of the target.
func (header) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	return append(socksaddr.Append(append(dst, 0, 0, 0), source), payload...), nil
}
