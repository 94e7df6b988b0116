package ss

import (
	"context"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/overstream"
)

// OpenPackets opens a session with the server. Earlier hops carry its datagrams as
// their own, with this server as the target.
func (h *hop) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	if h.overStream {
		return h.openOverStream(r), nil
	}
	cipher, ok := h.cipher.(core.PacketCipher)
	if !ok {
		return nil, h.CheckPackets()
	}
	client, err := cipher.NewPacketClient()
	if err != nil {
		return nil, err
	}
	next := *r
	next.Target, next.IPs, next.Payload = h.server, nil, nil
	wire, err := h.wire.OpenPackets(ctx, &next)
	if err != nil {
		return nil, err
	}
	return &packetConn{wire: wire, server: h.server, client: client, flow: r.Flow}, nil
}

// openOverStream returns an association in a stream of its own, which is opened at its first
// datagram.
func (h *hop) openOverStream(r *core.Request) core.PacketConn {
	o := h.stream
	o.Flow = r.Flow
	return overstream.NewClient(o, func(ctx context.Context, first []byte) (core.Stream, error) {
		next := *r
		next.Network, next.Target, next.IPs, next.Payload = core.TCP, overstream.Target(), nil, first
		return h.DialStream(core.ForRequest(ctx, r), &next)
	})
}

// CheckPackets returns nil if the cipher protects datagrams and the wire carries
// them.
func (h *hop) CheckPackets() error {
	if h.overStream {
		return nil // it takes streams alone
	}
	if _, ok := h.cipher.(core.PacketCipher); !ok {
		return fmt.Errorf("%w under the method %s", core.ErrNoPackets, h.cipher.Method())
	}
	return h.wire.CheckPackets()
}

// packetConn is one client session with the server.
type packetConn struct {
	wire   core.PacketConn
	server core.Addr
	client core.PacketClient
	flow   *core.Flow
}

// WritePackets sends each datagram, sealed with its target, to the server.
func (c *packetConn) WritePackets(ps []core.Packet) (int, error) {
	return netio.SealPackets(c.flow, c.wire, c.server, c.client, ps)
}

// Receive opens the server's datagrams. A datagram that can't be opened is dropped.
func (c *packetConn) Receive(sink core.PacketSink) {
	c.wire.Receive(func(ps []core.Packet) {
		n := 0
		for i := range ps {
			payload, source, err := c.client.OpenPacket(ps[i].Data)
			if err != nil {
				c.flow.Drop(core.DropAuth, 1)
				continue
			}
			ps[n] = core.Packet{Addr: source, Data: payload}
			n++
		}
		if n > 0 {
			sink(ps[:n])
		}
	})
}

// Close ends the session.
func (c *packetConn) Close() error { return c.wire.Close() }
