package netio

import (
	"net/netip"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// slabSize is the memory of a burst in bytes: 64 sealed datagrams of the Internet's
// usual size, or one datagram of any size.
const slabSize = 112 << 10

// burst is memory for outgoing datagrams. It is borrowed from a pool that all
// associations share, and released after each send: no send keeps its datagrams.
type burst struct {
	ps   [MaxBurst]core.Packet
	ds   [MaxBurst]Datagram
	data [MaxBurst][]byte // sealed datagrams, in slab
	n    int              // used entries of data
	slab []byte
}

var bursts = sync.Pool{New: func() any { return &burst{slab: make([]byte, 0, slabSize)} }}

func borrowBurst() *burst { return bursts.Get().(*burst) }

// release puts b back into the pool. The slices in data still point to memory of the
// slab, which is pooled with b.
func (b *burst) release() { bursts.Put(b) }

// seal seals datagrams of ps until b is full, and returns how many of ps it consumed.
// Datagrams that can't be sealed, or would be too long, are dropped and counted in lost.
func (b *burst) seal(lost losses, s core.PacketSealer, ps []core.Packet) (done int) {
	b.n, b.slab = 0, b.slab[:0]
	for done < len(ps) && b.n < MaxBurst {
		p := &ps[done]
		size := len(p.Data) + s.Overhead(p.Addr)
		if size <= core.MaxDatagram && size > cap(b.slab)-len(b.slab) {
			break // for the next burst
		}
		done++
		if size > core.MaxDatagram {
			lost.Drop(core.DropLong, 1)
			continue
		}
		start := len(b.slab)
		sealed, err := s.AppendPacket(b.slab[start:], p.Data, p.Addr)
		if err != nil || len(sealed) > size {
			lost.Drop(core.DropSeal, 1)
			continue
		}
		b.slab = b.slab[:start+len(sealed)]
		b.data[b.n] = sealed
		b.n++
	}
	return done
}

// SealPackets seals ps with s and writes them through dst to the address to. It
// implements WritePackets of a hop. What is dropped is counted in flow.
func SealPackets(flow *core.Flow, dst core.PacketConn, to core.Addr, s core.PacketSealer, ps []core.Packet) (sent int, err error) {
	b := borrowBurst()
	defer b.release()
	for len(ps) > 0 && err == nil {
		ps = ps[b.seal(flow, s, ps):]
		for i := range b.n {
			b.ps[i] = core.Packet{Addr: to, Data: b.data[i]}
		}
		var n int
		n, err = dst.WritePackets(b.ps[:b.n])
		sent += n
	}
	return sent, err
}

// SendSealed is SealPackets for a client of this socket: the datagrams are sent to
// peer, and from local if local is valid.
func (s *UDPSocket) SendSealed(flow *core.Flow, peer netip.AddrPort, local netip.Addr, f core.PacketSealer, ps []core.Packet) (sent int, err error) {
	lost := answers{flow}
	b := borrowBurst()
	defer b.release()
	for len(ps) > 0 && err == nil {
		ps = ps[b.seal(lost, f, ps):]
		for i := range b.n {
			b.ds[i] = Datagram{Peer: peer, Local: local, Data: b.data[i]}
		}
		var n int
		n, err = s.send(lost, b.ds[:b.n])
		sent += n
	}
	return sent, err
}

// ReceivePackets is Receive for an association. parse converts a datagram into a
// packet, which may alias the datagram's memory. parse returns false for an invalid
// datagram, which is dropped.
func (s *UDPSocket) ReceivePackets(sink core.PacketSink, panicked func(error), parse func(*Datagram) (core.Packet, bool)) error {
	return s.Receive(func(ds []Datagram) {
		b := borrowBurst()
		defer b.release()
		n := 0
		for i := range ds {
			if p, ok := parse(&ds[i]); ok {
				b.ps[n] = p
				n++
			}
		}
		if n > 0 {
			sink(b.ps[:n])
		}
	}, panicked)
}

// SendPackets is Send for an association. address returns the destination of a
// packet, or false to drop the packet, which it counts itself.
func (s *UDPSocket) SendPackets(flow *core.Flow, ps []core.Packet, address func(*core.Packet) (netip.AddrPort, bool)) (sent int, err error) {
	b := borrowBurst()
	defer b.release()
	for len(ps) > 0 && err == nil {
		k := min(len(ps), len(b.ds))
		n := 0
		for i := range ps[:k] {
			if to, ok := address(&ps[i]); ok {
				b.ds[n] = Datagram{Peer: to, Data: ps[i].Data}
				n++
			}
		}
		ps = ps[k:]
		n, err = s.send(flow, b.ds[:n])
		sent += n
	}
	return sent, err
}
