package relay

import (
	"errors"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// packets is the PacketServer of a relay.
type packets struct{ relay *relay }

var (
	_ core.PacketServer  = packets{}
	_ core.PacketSession = (*next)(nil)
)

// Open determines the server of a datagram. All clients of one server share a session:
// only that server can distinguish its clients.
func (p packets) Open(wire []byte, _ netip.AddrPort) (core.OpenedPacket, error) {
	to, forwarded, err := p.relay.identity.OpenPacket(wire)
	if err != nil {
		return core.OpenedPacket{}, err
	}
	n := p.relay.next[to]
	return core.OpenedPacket{Session: n, Target: n.server, Payload: forwarded}, nil
}

// Roams returns false. The relay can't detect replays, only the next server can, so with
// roaming a replayed datagram would redirect the client's answers to its sender.
func (packets) Roams() bool { return false }

// Overhead returns 0: answers are forwarded unchanged.
func (*next) Overhead(core.Addr) int { return 0 }

// errOtherSource is the error of an answer from another address than the server's.
var errOtherSource = errors.New("not from the server of the request")

// AppendPacket appends an answer of the server, which the server has sealed with the
// user's key. If the server is given by an IP address, AppendPacket refuses answers of
// other sources.
func (n *next) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	if n.server.IP().IsValid() && source != n.server {
		return dst, errOtherSource
	}
	return append(dst, payload...), nil
}

// User returns the name of the server.
func (n *next) User() string { return n.name }

// Close does nothing: all clients of the server share the session.
func (*next) Close() {}
