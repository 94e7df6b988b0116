package coretest

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// packetQueue is how many datagrams are queued for a sink; further datagrams are lost, as
// on a real socket.
const packetQueue = 1024

// PacketEnd is one end of a packet connection, and the address at which the
// other end reaches it.
type PacketEnd struct {
	Conn core.PacketConn
	Addr core.Addr
}

// PacketPipe returns the two ends of a packet connection in memory. A datagram that is
// written to the address of the other end arrives there with the address of the writing
// end; a datagram to any other address is lost. PacketPipe works in a synctest bubble.
func PacketPipe() (a, b PacketEnd) {
	atA := newMailbox("192.0.2.1:1001")
	atB := newMailbox("192.0.2.2:1002")
	return PacketEnd{&packetPipe{own: atA, peer: atB}, atA.addr}, PacketEnd{&packetPipe{own: atB, peer: atA}, atB.addr}
}

type packetPipe struct{ own, peer *mailbox }

var _ core.PacketConn = (*packetPipe)(nil)

func (p *packetPipe) WritePackets(ps []core.Packet) (int, error) {
	if p.own.isClosed() {
		return 0, net.ErrClosed
	}
	sent := 0
	for _, packet := range ps {
		if packet.Addr == p.peer.addr && len(packet.Data) <= core.MaxDatagram && p.peer.put(p.own.addr, packet.Data) {
			sent++
		}
	}
	return sent, nil
}

func (p *packetPipe) Receive(sink core.PacketSink) { go p.own.run(sink) }

func (p *packetPipe) Close() error { return p.own.close() }

// mailbox is the receive queue of an end.
type mailbox struct {
	addr core.Addr

	mu      sync.Mutex
	changed sync.Cond // signals changes of the fields below, which mu guards
	queue   []core.Packet
	closed  bool
}

func newMailbox(addr string) *mailbox {
	m := &mailbox{addr: core.AddrFrom(netip.MustParseAddrPort(addr))}
	m.changed.L = &m.mu
	return m
}

// put queues a datagram and reports whether the queue had room.
func (m *mailbox) put(from core.Addr, data []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.queue) == packetQueue {
		return false
	}
	m.queue = append(m.queue, core.Packet{Addr: from, Data: slices.Clone(data)})
	m.changed.Broadcast()
	return true
}

// run passes queued datagrams to sink until the mailbox is closed.
func (m *mailbox) run(sink core.PacketSink) {
	for {
		ps := m.take()
		if ps == nil {
			return
		}
		sink(ps)
	}
}

// take waits for datagrams and returns them. It returns nil when the mailbox is closed.
func (m *mailbox) take() []core.Packet {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) == 0 && !m.closed {
		m.changed.Wait()
	}
	if m.closed {
		return nil
	}
	n := min(len(m.queue), netio.MaxBurst)
	ps := m.queue[:n:n]
	m.queue = m.queue[n:]
	return ps
}

func (m *mailbox) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

func (m *mailbox) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.changed.Broadcast()
	return nil
}
