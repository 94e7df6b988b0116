package socks

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// associate is a client of UDP ASSOCIATE: the PendingPackets of the client's request and
// the PacketConn of the client's datagrams. The association lasts as long as conn, the
// control connection. See RFC 1928 §7.
type associate struct {
	handler *handshaker
	conn    core.Stream
	user    string     // for routes
	client  netip.Addr // the peer's address of the control connection; without a zone
	flow    *core.Flow

	mu     sync.Mutex
	peer   netip.AddrPort  // the source address of the client's datagrams; guarded by mu
	local  netip.Addr      // this machine's address that the client used last, on a shared socket; guarded by mu
	sink   core.PacketSink // of a shared socket; guarded by mu
	port   uint16          // the source port from the request; 0 for that of the first datagram; on a shared socket guarded by routes.mu
	socket *netio.UDPSocket
	end    sync.Once
}

var (
	_ core.PendingPackets = (*associate)(nil)
	_ core.PacketConn     = (*associate)(nil)
)

// newAssociate returns the client of a request with the address named. The client's
// datagrams must come from the address of the control connection. If named has that
// address, or the unspecified one, they must also come from the port of named. Any other
// address is ignored: a client behind a NAT can't know its own.
func newAssociate(h *handshaker, conn core.Stream, client netip.Addr, named core.Addr) *associate {
	a := &associate{handler: h, conn: conn, client: client.WithZone(""), flow: new(core.Flow)}
	if ip := named.IP(); ip.IsValid() && (ip.IsUnspecified() || ip == a.client) {
		a.port = named.Port()
	}
	return a
}

// Accept opens a socket on the local address of the control connection and sends the
// socket's address to the client, or udp_address with the socket's port. If the inbound has
// a shared socket, that is told by Receive: before, datagrams would be lost.
func (a *associate) Accept() (core.PacketConn, error) {
	if !a.handler.quota.Take(a.client) {
		return nil, fmt.Errorf("associate: %w", core.ErrCrowded)
	}
	if a.handler.shared != nil {
		if err := a.share(); err != nil {
			a.handler.quota.Give(a.client)
			return nil, fmt.Errorf("associate: %w", err)
		}
		return a, nil
	}
	socket, err := a.open()
	if err != nil {
		a.handler.quota.Give(a.client)
		return nil, fmt.Errorf("associate: %w", err)
	}
	a.socket = socket
	if err := a.reply(socket.Addr()); err != nil {
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

// reply tells the client where to send its datagrams.
func (a *associate) reply(at netip.AddrPort) error {
	if told := a.handler.told; told.IsValid() {
		at = netip.AddrPortFrom(told, at.Port())
	}
	if _, err := a.conn.Write(appendReplyAt(nil, socksaddr.RepSuccess, core.AddrFrom(at))); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return nil
}

// open binds a port of the kernel's choice or, if udp_ports is given, the first free port
// in it, beginning with a random one.
func (a *associate) open() (*netio.UDPSocket, error) {
	ip, err := a.localIP()
	if err != nil {
		return nil, err
	}
	ports := a.handler.ports
	if !ports.IsValid() {
		return netio.ListenUDP(netip.AddrPortFrom(ip, 0))
	}
	var last error
	for i, first := 0, rand.IntN(ports.Len()); i < ports.Len(); i++ {
		socket, err := netio.ListenUDP(netip.AddrPortFrom(ip, ports.At(first+i)))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return socket, err
		}
		last = err
	}
	return nil, fmt.Errorf("no port of udp_ports %s is free: %w", ports, last)
}

// localIP returns the local IP address of the control connection.
func (a *associate) localIP() (netip.Addr, error) {
	local, err := a.localAddr()
	return local.Addr(), err
}

// localAddr returns the local address of the control connection.
func (a *associate) localAddr() (netip.AddrPort, error) {
	local, ok := a.conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("local address %v of the control connection is not a TCP address", a.conn.LocalAddr())
	}
	at := local.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// Reject sends the reply for cause, waits up to a second for the client to read it, and
// closes the connection.
func (a *associate) Reject(cause error) { pending{a.conn}.Reject(cause) }

// Receive passes the client's datagrams to sink, until the control connection ends.
func (a *associate) Receive(sink core.PacketSink) {
	if a.handler.shared != nil {
		if err := a.receiveShared(sink); err != nil {
			a.flow.Cut(err)
			return
		}
		go a.watch()
		return
	}
	err := a.socket.ReceivePackets(sink, a.flow.Cut, func(d *netio.Datagram) (core.Packet, bool) {
		p, err := a.handler.memo.parse(d.Data)
		switch {
		case errors.Is(err, core.ErrDenied):
			a.flow.Drop(core.DropFragment, 1)
		case err != nil:
			a.flow.Drop(core.DropMalformed, 1)
		case !a.isClient(d.Peer):
			a.flow.Drop(core.DropStranger, 1)
		default:
			return p, true
		}
		return core.Packet{}, false
	})
	if err != nil {
		a.flow.Cut(err)
		return
	}
	go a.watch()
}

// watch waits for the end of the control connection, discards the bytes of the client,
// and cuts the flow.
func (a *associate) watch() {
	var discarded [64]byte
	for {
		if _, err := a.conn.Read(discarded[:]); err != nil {
			a.flow.Cut(io.EOF)
			return
		}
	}
}

// isClient reports whether a well-formed datagram from an address belongs to the client.
// The client's first datagram fixes the port.
func (a *associate) isClient(from netip.AddrPort) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if from == a.peer {
		return true
	}
	if a.peer.IsValid() || from.Addr().WithZone("") != a.client || a.port != 0 && from.Port() != a.port {
		return false
	}
	a.peer = from
	return true
}

// WritePackets sends answers to the client. Before the client's first datagram it drops
// them.
func (a *associate) WritePackets(ps []core.Packet) (int, error) {
	a.mu.Lock()
	peer, local := a.peer, a.local
	a.mu.Unlock()
	if !peer.IsValid() {
		a.flow.DropAnswers(core.DropUnproven, len(ps))
		return 0, nil
	}
	return a.socket.SendSealed(a.flow, peer, local, socksaddr.Datagram{}, ps)
}

// Close ends the association and its control connection.
func (a *associate) Close() error {
	a.end.Do(func() {
		if shared := a.handler.shared; shared != nil {
			shared.routes.remove(a)
			a.mu.Lock()
			a.sink = nil
			a.mu.Unlock()
		} else {
			_ = a.socket.Close() // an error loses nothing: the socket has no connection
		}
		_ = a.conn.Close()
		a.handler.quota.Give(a.client)
	})
	return nil
}
