package socks5

import (
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// relayAt returns where to send datagrams after a reply with the address bound by a server
// that was reached at server. A server that does not know its own address replies with one
// that nobody can reach: the unspecified one, a loopback one, or a private one behind its
// NAT. Then the server's own address has the relay's port too. This also keeps a server
// from having datagrams sent to this machine.
func relayAt(bound, server core.Addr) core.Addr {
	at, known := bound.IP(), server.IP()
	if !at.IsValid() {
		return bound // a name
	}
	switch {
	case at.IsUnspecified(),
		at.IsLoopback() && !known.IsLoopback(),
		isLocal(at) && known.IsValid() && !isLocal(known) && !known.IsLoopback():
		return server.WithPort(bound.Port())
	}
	return bound
}

// isLocal reports whether an address has a meaning in one network alone.
func isLocal(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLinkLocalUnicast() }
