package relay

import (
	"errors"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// packets passes datagrams on.
type packets struct{ relay *relay }

var (
	_ core.PacketServer  = packets{}
	_ core.PacketSession = (*next)(nil)
)

// Open finds the server that a datagram is for. Its session is that of all clients
// of this server: who is who, only that can tell.
func (p packets) Open(wire []byte, _ netip.AddrPort) (core.OpenedPacket, error) {
	to, forwarded, err := p.relay.identity.OpenPacket(wire)
	if err != nil {
		return core.OpenedPacket{}, err
	}
	n := p.relay.next[to]
	return core.OpenedPacket{Session: n, Target: n.server, Payload: forwarded}, nil
}

// Roams returns false: a recorded datagram would move its client's answers to
// whoever sends it, since only the server behind can tell.
func (packets) Roams() bool { return false }

// Overhead returns 0: answers go on as they come.
func (*next) Overhead(core.Addr) int { return 0 }

// errStranger says that an answer is from nobody who was asked.
var errStranger = errors.New("not from the server that was asked")

// AppendPacket appends an answer of the server. It is sealed with the user's key
// already. Where the server is known by its address, none but its own get through.
func (n *next) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	if n.server.IP().IsValid() && source != n.server {
		return dst, errStranger
	}
	return append(dst, payload...), nil
}

// User returns the name of the server.
func (n *next) User() string { return n.name }

// Close does nothing: the session is that of all clients.
func (*next) Close() {}
