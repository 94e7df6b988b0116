package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// netPackets is the bare network for one association: one socket, so that all targets
// see one source address, and datagrams of every peer are received
// (endpoint-independent mapping and filtering, RFC 4787).
type netPackets struct {
	socket  *netio.UDPSocket
	options netio.SocketOptions
	control Control
	request *core.Request
	loops   *netio.Loops

	mu     sync.Mutex
	last   netip.AddrPort // the last address that control allowed; guarded by mu
	looped bool           // loops knows the socket; guarded by mu
}

// OpenPackets opens a socket for the association. The lookup of a name does not block
// other datagrams.
func (n Net) OpenPackets(_ context.Context, r *core.Request) (core.PacketConn, error) {
	socket, err := netio.OpenUDPWith(n.Socket)
	if err != nil {
		return nil, err
	}
	p := &netPackets{socket: socket, options: n.Socket, control: n.Control, request: r, loops: n.Loops}
	return resolvePackets(p, n.asks(), n.resolver(), r, n.Names, p.pick), nil
}

// CheckPackets returns nil.
func (n Net) CheckPackets() error { return nil }

// WritePackets sends the datagrams whose address control allows. It checks the address
// of each datagram, not only of the first.
func (p *netPackets) WritePackets(ps []core.Packet) (sent int, err error) {
	allowed := p.allowed()
	if p.loops != nil {
		p.noteLoops(ps, allowed)
	}
	sent, err = p.socket.SendPackets(p.request.Flow, ps, func(packet *core.Packet) (netip.AddrPort, bool) {
		to := packet.Addr.AddrPort()
		if to != allowed {
			if p.check(to) != nil {
				p.request.Flow.Drop(core.DropDenied, 1)
				return to, false
			}
			allowed = to
		}
		return to, true
	})
	p.setAllowed(allowed)
	return sent, err
}

func (p *netPackets) allowed() netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *netPackets) setAllowed(to netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = to
}

// noteLoops tells loops of a socket that sends to this process itself. Datagrams to the
// address of the last ones are not looked at.
func (p *netPackets) noteLoops(ps []core.Packet, last netip.AddrPort) {
	for i := range ps {
		to := ps[i].Addr.AddrPort()
		if to == last {
			continue
		}
		last = to
		p.mu.Lock()
		p.looped = p.looped || p.loops.Sends(p.request, p.socket, to)
		p.mu.Unlock()
	}
}

// check returns an error if no datagram may be sent to an address.
func (p *netPackets) check(to netip.AddrPort) error {
	switch {
	case !to.IsValid():
		return fmt.Errorf("%w: no address", core.ErrMalformed)
	case to.Port() == 0:
		return fmt.Errorf("%w: port 0", core.ErrMalformed)
	case p.control == nil:
		return nil
	}
	return p.control(context.Background(), core.UDP, to)
}

// pick returns the first address that control allows and the kernel has a route to. If
// control allows only one address, pick returns it without a route lookup.
func (p *netPackets) pick(ips []netip.Addr, port uint16) netip.Addr {
	var open []netip.Addr
	for _, ip := range ips {
		if p.check(netip.AddrPortFrom(ip.Unmap(), port)) == nil {
			open = append(open, ip.Unmap())
		}
	}
	if len(open) == 1 {
		return open[0]
	}
	for _, ip := range open {
		if p.hasRoute(netip.AddrPortFrom(ip, port)) {
			return ip
		}
	}
	return netip.Addr{}
}

// hasRoute reports whether the kernel has a route to an address from a socket with the
// same options. It connects a UDP socket, which sends no datagram.
func (p *netPackets) hasRoute(to netip.AddrPort) bool {
	d := net.Dialer{Control: p.options.Control}
	if source := p.options.Source(to.Addr()); source.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	c, err := d.Dial("udp", to.String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Receive passes datagrams with their true source to sink.
func (p *netPackets) Receive(sink core.PacketSink) {
	err := p.socket.ReceivePackets(sink, p.request.Flow.Cut, func(d *netio.Datagram) (core.Packet, bool) {
		return core.Packet{Addr: core.AddrFrom(d.Peer), Data: d.Data}, true
	})
	if err != nil {
		p.request.Flow.Cut(err)
	}
}

// Close closes the socket.
func (p *netPackets) Close() error { return p.socket.Close() }
