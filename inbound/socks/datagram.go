package socks

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
	rest, err := socksaddr.CutDatagram(b)
	if err != nil {
		return core.Packet{}, err
	}
	target, n, err := decode(m.addrs.Decode).target(rest)
	if err != nil {
		return core.Packet{}, fmt.Errorf("%w: target: %w", core.ErrMalformed, err)
	}
	if target.Port() == 0 {
		return core.Packet{}, fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, target)
	}
	return core.Packet{Addr: target, Data: rest[n:]}, nil
}
