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

// netPackets is the bare network for one association: one socket, so that all
// targets see one source, and whoever answers is heard (endpoint-independent
// mapping and filtering, RFC 4787).
type netPackets struct {
	socket  *netio.UDPSocket
	options netio.SocketOptions
	control Control
	flow    *core.Flow

	mu   sync.Mutex
	last netip.AddrPort // that control allowed; guarded by mu
}

// OpenPackets opens a socket of its own. A name is looked up while other
// datagrams go on.
func (n Net) OpenPackets(_ context.Context, r *core.Request) (core.PacketConn, error) {
	socket, err := netio.OpenUDPWith(n.Socket)
	if err != nil {
		return nil, err
	}
	p := &netPackets{socket: socket, options: n.Socket, control: n.Control, flow: r.Flow}
	resolver := n.Resolver
	if resolver == nil {
		resolver = SystemResolver{}
	}
	return resolvePackets(p, resolver, r.Flow, p.pick), nil
}

// CheckPackets returns nil.
func (n Net) CheckPackets() error { return nil }

// WritePackets sends what control allows, address by address: each datagram is
// asked about, not only the first.
func (p *netPackets) WritePackets(ps []core.Packet) (sent int, err error) {
	allowed := p.allowed()
	sent, err = p.socket.SendPackets(ps, func(packet *core.Packet) (netip.AddrPort, bool) {
		to := packet.Addr.AddrPort()
		if to != allowed {
			if p.check(to) != nil {
				return to, false
			}
			allowed = to
		}
		return to, true
	})
	p.allow(allowed)
	return sent, err
}

func (p *netPackets) allowed() netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *netPackets) allow(to netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = to
}

// check returns why no datagram may go to an address, or nil.
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

// pick returns the first address that may be reached and to which there is a
// way. That is asked of the kernel, without a datagram, where there is a choice.
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
		if p.hasWay(netip.AddrPortFrom(ip, port)) {
			return ip
		}
	}
	return netip.Addr{}
}

// hasWay asks the kernel whether there is a way to an address from a socket with the
// same options.
func (p *netPackets) hasWay(to netip.AddrPort) bool {
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

// Receive gives datagrams with their true source to sink.
func (p *netPackets) Receive(sink core.PacketSink) {
	err := p.socket.ReceivePackets(sink, p.flow.Cut, func(d *netio.Datagram) (core.Packet, bool) {
		return core.Packet{Addr: core.AddrFrom(d.Peer), Data: d.Data}, true
	})
	if err != nil {
		p.flow.Cut(err)
	}
}

// Close closes the socket.
func (p *netPackets) Close() error { return p.socket.Close() }
