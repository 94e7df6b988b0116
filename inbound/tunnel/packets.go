package tunnel

import (
	"errors"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/inbound"
)

// packets is the PacketServer of a tunnel: datagrams are not protected, and a session is all
// that comes from one address.
type packets struct{ session *session }

// session stands for the sessions of all clients.
type session struct {
	inbound.PlainSession
	target core.Addr
}

var (
	_ core.PacketServer  = packets{}
	_ core.PacketSession = (*session)(nil)
)

// Open returns the datagram as one to the target.
func (p packets) Open(wire []byte, _ netip.AddrPort) (core.OpenedPacket, error) {
	return core.OpenedPacket{Session: p.session, Target: p.session.target, Payload: wire}, nil
}

// Roams returns false: clients are told apart by their addresses alone.
func (packets) Roams() bool { return false }

// errOtherSource is the error of an answer from another address than the target's.
var errOtherSource = errors.New("not from the target")

// AppendPacket appends an answer of the target. The client can't tell sources apart, so
// answers of others are refused: of another port, and, if the target is an IP address, of
// another address.
func (s *session) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	if source.Port() != s.target.Port() || s.target.IP().IsValid() && source != s.target {
		return dst, errOtherSource
	}
	return append(dst, payload...), nil
}
