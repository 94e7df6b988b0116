package socks

import (
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// share adds the association to those of the inbound's socket.
func (a *associate) share() error {
	shared := a.handler.shared
	local, err := a.localAddr()
	if err != nil {
		return err
	}
	if a.socket = shared.at(local); a.socket == nil {
		return fmt.Errorf("no socket for datagrams on %s", local)
	}
	older, err := shared.routes.add(a)
	if err != nil {
		return err
	}
	if older != nil {
		older.flow.Cut(fmt.Errorf("%w: the client has a new association for the same port", core.ErrCrowded))
	}
	return nil
}

// receiveShared passes the client's datagrams on the shared socket to sink, and tells the
// client the socket's port.
func (a *associate) receiveShared(sink core.PacketSink) error {
	a.mu.Lock()
	a.sink = sink
	a.mu.Unlock()
	local, err := a.localAddr()
	if err != nil {
		return err
	}
	return a.reply(local)
}

// sentTo notes the addresses of a datagram of the client on the shared socket: answers go
// back between them.
func (a *associate) sentTo(peer netip.AddrPort, local netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.peer, a.local = peer, local
}

// deliver passes datagrams of the client to the sink.
func (a *associate) deliver(ps []core.Packet) {
	a.mu.Lock()
	sink := a.sink
	a.mu.Unlock()
	if sink != nil {
		sink(ps)
	}
}
