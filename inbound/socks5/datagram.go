package socks5

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// headSize is what stands before the address of a datagram, in bytes.
const headSize = 3

// memo reads the datagrams of all clients of an inbound.
type memo struct{ addrs core.AddrMemo }

// parse reads a datagram of a client:
//
//	+-----+------+------+----------+----------+------+
//	| RSV | FRAG | ATYP | DST.ADDR | DST.PORT | DATA |
//	| 2B  |  1B  |  1B  | variable |  2B be   |      |
//	+-----+------+------+----------+----------+------+
//
// Its Data aliases b. A fragment is refused, as RFC 1928 §7 allows; so are a
// reserved field that is not 0 and the port 0. The error is an ErrMalformed or an
// ErrDenied.
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
	target, n, err := m.addrs.Decode(b[headSize:])
	if err != nil {
		return core.Packet{}, fmt.Errorf("%w: target: %w", core.ErrMalformed, err)
	}
	if target.Port() == 0 {
		return core.Packet{}, fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, target)
	}
	return core.Packet{Addr: target, Data: b[headSize+n:]}, nil
}

// header puts the header of a datagram before an answer.
type header struct{}

var _ core.PacketSealer = header{}

// Overhead returns the length of the header.
func (header) Overhead(source core.Addr) int { return headSize + core.AddrLen(source) }

// AppendPacket appends an answer, in the form of memo.parse with its source in
// the place of the target.
func (header) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	return append(core.AppendAddr(append(dst, 0, 0, 0), source), payload...), nil
}
