package ss

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/overstream"
	"github.com/umbra-proxy/umbra/inbound"
)

// ServesPackets reports whether streams may carry UDP. Package inbound asks for it.
func (s server) ServesPackets() bool { return s.quota != nil }

// packets passes on a request for an association over its stream. A client that sends no
// valid header has proved its key: its connection just ends.
func (s server) packets(conn core.Stream, c core.Client, a core.Accepted, p pending, next inbound.Requests) error {
	accepted, err := overstream.Accept(a.Stream, a.Target, a.Payload)
	switch {
	case err == nil:
	case a.Unproven: // what changed the header may have no key
		return err
	default:
		return core.Authenticated(err)
	}
	r := &core.Request{User: a.User, Grant: a.Grant, Once: a.Once, Unproven: a.Unproven, Flow: new(core.Flow)}
	next.Packets(r, &pendingOverStream{pending: p, accepted: accepted, server: s, client: c.Addr.Addr(), flow: r.Flow})
	return nil
}

// pendingOverStream is a client that waits for its association.
type pendingOverStream struct {
	pending
	accepted overstream.Accepted
	server   server
	client   netip.Addr
	flow     *core.Flow
}

var _ core.PendingPackets = (*pendingOverStream)(nil)

// Accept returns the client's datagrams.
func (p *pendingOverStream) Accept() (core.PacketConn, error) {
	if !p.server.quota.Take(p.client) {
		return nil, fmt.Errorf("UDP over a stream: %w", core.ErrCrowded)
	}
	c := p.accepted.Conn(overstream.Options{Flow: p.flow, Queue: p.server.queue})
	return &counted{PacketConn: c, give: sync.OnceFunc(func() { p.server.quota.Give(p.client) })}, nil
}

// counted is an association that counts for its client until it ends.
type counted struct {
	core.PacketConn
	give func()
}

// Close ends the association.
func (c *counted) Close() error {
	c.give()
	return c.PacketConn.Close()
}
