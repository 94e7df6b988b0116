package coretest

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// packetQueue is how many datagrams wait for a reader; more are lost, as on a
// real socket.
const packetQueue = 256

// PacketEnd is one end of a packet connection, and the address at which the
// other end reaches it.
type PacketEnd struct {
	Conn core.PacketConn
	Addr core.Addr
}

// PacketPipe returns the two ends of a packet connection in memory. A datagram
// that is written to one end's address arrives at it with the other's address; one to
// another address is lost. It works in a synctest bubble.
func PacketPipe() (a, b PacketEnd) {
	atA := newMailbox("192.0.2.1:1001")
	atB := newMailbox("192.0.2.2:1002")
	return PacketEnd{&packetPipe{own: atA, peer: atB}, atA.addr}, PacketEnd{&packetPipe{own: atB, peer: atA}, atB.addr}
}

type packetPipe struct{ own, peer *mailbox }

var _ core.PacketConn = (*packetPipe)(nil)

func (p *packetPipe) ReadPackets(ps []core.Packet) (int, error) {
	if len(ps) == 0 {
		return 0, nil
	}
	return p.own.take(ps)
}

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

func (p *packetPipe) SetReadDeadline(t time.Time) error { return p.own.setDeadline(t) }

func (p *packetPipe) Close() error { return p.own.close() }

// mailbox is where an end's datagrams arrive.
type mailbox struct {
	addr core.Addr

	mu       sync.Mutex
	changed  sync.Cond // of all that follows, which mu guards
	queue    []core.Packet
	closed   bool
	deadline time.Time
	timer    *time.Timer
}

func newMailbox(addr string) *mailbox {
	m := &mailbox{addr: core.AddrFrom(netip.MustParseAddrPort(addr))}
	m.changed.L = &m.mu
	return m
}

// put delivers a datagram and reports whether there was room.
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

// take fetches what has arrived, and waits for a datagram that fits.
func (m *mailbox) take(ps []core.Packet) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if m.closed {
			return 0, net.ErrClosed
		}
		if !m.deadline.IsZero() && !time.Now().Before(m.deadline) {
			return 0, os.ErrDeadlineExceeded
		}
		n := 0
		for n < len(ps) && len(m.queue) > 0 {
			next := m.queue[0]
			m.queue = m.queue[1:]
			if len(next.Data) > len(ps[n].Data) {
				continue
			}
			ps[n].Data = ps[n].Data[:copy(ps[n].Data, next.Data)]
			ps[n].Addr = next.Addr
			n++
		}
		if n > 0 {
			return n, nil
		}
		m.changed.Wait()
	}
}

func (m *mailbox) setDeadline(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return net.ErrClosed
	}
	if m.timer != nil {
		m.timer.Stop()
	}
	m.deadline = t
	if !t.IsZero() {
		m.timer = time.AfterFunc(time.Until(t), m.wake)
	}
	m.changed.Broadcast()
	return nil
}

func (m *mailbox) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed.Broadcast()
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
	if m.timer != nil {
		m.timer.Stop()
	}
	m.changed.Broadcast()
	return nil
}
