package socks5

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

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
	if len(b) < socksaddr.DatagramHead {
		return core.Packet{}, fmt.Errorf("%w: datagram of %d bytes", core.ErrMalformed, len(b))
	}
	if b[0] != 0 || b[1] != 0 {
		return core.Packet{}, fmt.Errorf("%w: reserved field %x", core.ErrMalformed, b[:2])
	}
	if b[2] != 0 {
		return core.Packet{}, fmt.Errorf("%w: fragment %d", core.ErrDenied, b[2])
	}
	target, n, err := decode(m.addrs.Decode).target(b[socksaddr.DatagramHead:])
	if err != nil {
		return core.Packet{}, fmt.Errorf("%w: target: %w", core.ErrMalformed, err)
	}
	if target.Port() == 0 {
		return core.Packet{}, fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, target)
	}
	return core.Packet{Addr: target, Data: b[socksaddr.DatagramHead+n:]}, nil
}
