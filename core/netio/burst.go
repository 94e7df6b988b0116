package netio

import (
	"github.com/umbra-proxy/umbra/core"
	"net/netip"
	"sync"
)

// slabSize is the memory of a burst in bytes: 64 datagrams of the Internet's usual
// size, sealed, or one of any size.
const slabSize = 112 << 10

// burst is memory for datagrams on their way out, borrowed from a pool that all
// associations share. Nothing that is sent is kept, so it goes back right after.
type burst struct {
	ps   [MaxBurst]core.Packet
	ds   [MaxBurst]Datagram
	data [MaxBurst][]byte // sealed datagrams, in slab
	n    int              // of data
	slab []byte
}

var bursts = sync.Pool{New: func() any { return &burst{slab: make([]byte, 0, slabSize)} }}

func borrowBurst() *burst { return bursts.Get().(*burst) }

// giveBack returns b. What its slices still point to is pooled memory too.
func (b *burst) giveBack() { bursts.Put(b) }

// seal seals datagrams until b is full, and returns how many of ps it was done
// with. Those that can't be sealed, or would be too long, are left out.
func (b *burst) seal(s core.PacketSealer, ps []core.Packet) (done int) {
	b.n, b.slab = 0, b.slab[:0]
	for done < len(ps) && b.n < MaxBurst {
		p := &ps[done]
		size := len(p.Data) + s.Overhead(p.Addr)
		if size <= core.MaxDatagram && size > cap(b.slab)-len(b.slab) {
			break // for the next burst
		}
		done++
		if size > core.MaxDatagram {
			continue
		}
		start := len(b.slab)
		sealed, err := s.AppendPacket(b.slab[start:], p.Data, p.Addr)
		if err != nil || len(sealed) > size {
			continue
		}
		b.slab = b.slab[:start+len(sealed)]
		b.data[b.n] = sealed
		b.n++
	}
	return done
}

// SealPackets seals ps and writes them to one address of a connection. It is
// what a hop's WritePackets does.
func SealPackets(dst core.PacketConn, to core.Addr, s core.PacketSealer, ps []core.Packet) (sent int, err error) {
	b := borrowBurst()
	defer b.giveBack()
	for len(ps) > 0 && err == nil {
		ps = ps[b.seal(s, ps):]
		for i := range b.n {
			b.ps[i] = core.Packet{Addr: to, Data: b.data[i]}
		}
		var n int
		n, err = dst.WritePackets(b.ps[:b.n])
		sent += n
	}
	return sent, err
}

// SendSealed is SealPackets for the client of a socket: its datagrams go to peer
// and leave from local, if that is valid.
func (s *UDPSocket) SendSealed(peer netip.AddrPort, local netip.Addr, f core.PacketSealer, ps []core.Packet) (sent int, err error) {
	b := borrowBurst()
	defer b.giveBack()
	for len(ps) > 0 && err == nil {
		ps = ps[b.seal(f, ps):]
		for i := range b.n {
			b.ds[i] = Datagram{Peer: peer, Local: local, Data: b.data[i]}
		}
		var n int
		n, err = s.Send(b.ds[:b.n])
		sent += n
	}
	return sent, err
}

// ReceivePackets is Receive for an association: parse makes a packet of a
// datagram, whose memory it may share, or reports that it is none.
func (s *UDPSocket) ReceivePackets(sink core.PacketSink, panicked func(error), parse func(*Datagram) (core.Packet, bool)) error {
	return s.Receive(func(ds []Datagram) {
		b := borrowBurst()
		defer b.giveBack()
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

// SendPackets is Send for an association: address returns where a packet goes, or
// reports that it is not sent.
func (s *UDPSocket) SendPackets(ps []core.Packet, address func(*core.Packet) (netip.AddrPort, bool)) (sent int, err error) {
	b := borrowBurst()
	defer b.giveBack()
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
		n, err = s.Send(b.ds[:n])
		sent += n
	}
	return sent, err
}
