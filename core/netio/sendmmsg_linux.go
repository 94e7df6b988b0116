//go:build linux && !portable

package netio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/umbra-proxy/umbra/core"
)

// maxSegmented is the largest segmented message in bytes: the payload of one IP
// packet, less the headers of IPv6 and UDP.
const maxSegmented = 65535 - 40 - 8

// sender is the scratch of one send.
type sender struct {
	messages [MaxBurst]message
	vectors  [MaxBurst]unix.Iovec
	names    [MaxBurst]unix.RawSockaddrInet6
	controls [MaxBurst]control
	size     [MaxBurst]int // segment size of each message with more than one datagram
	parts    [MaxBurst]int // datagrams of each message
	n        int           // number of messages
}

var senders = sync.Pool{New: func() any { return new(sender) }}

// borrowSender returns a sender without messages.
func borrowSender() *sender {
	x := senders.Get().(*sender)
	x.n = 0
	return x
}

// send is Send, which counts in lost what the kernel did not accept. Runs of one size to
// one peer leave as one message that the kernel segments, if it supports that.
func (s *UDPSocket) send(lost losses, ds []Datagram) (int, error) {
	x := borrowSender()
	defer senders.Put(x)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	if len(ds) == 1 && !s.choose {
		return x.sendTo(lost, s, &ds[0]), nil
	}
	sent := 0
	for len(ds) > 0 {
		n := x.pack(s, ds)
		sent += x.send(lost, s, ds[:n])
		ds = ds[n:]
	}
	return sent, nil
}

// pack packs the first datagrams of ds into messages and returns how many.
func (x *sender) pack(s *UDPSocket, ds []Datagram) int {
	ds = ds[:min(len(ds), MaxBurst)]
	most := int(s.segment.Load())
	for i := 0; i < len(ds); {
		run := 1
		if size := len(ds[i].Data); size > 0 && size <= most {
			run = runOf(ds[i:])
		}
		x.put(s, i, ds[i:i+run])
		i += run
	}
	return len(ds)
}

// runOf returns how many datagrams at the start of ds can leave as one message: to one
// peer, from one address, of one size; the last datagram may be shorter.
func runOf(ds []Datagram) int {
	size, total := len(ds[0].Data), 0
	for i := range ds {
		n := len(ds[i].Data)
		if total += n; i == 0 {
			continue
		}
		if n == 0 || n > size || total > maxSegmented || ds[i].Peer != ds[0].Peer || ds[i].Local != ds[0].Local {
			return i
		}
		if n < size {
			return i + 1
		}
	}
	return len(ds)
}

// put adds a message with the datagrams ds; at is the index of the first datagram, and
// of its vector.
func (x *sender) put(s *UDPSocket, at int, ds []Datagram) {
	for i := range ds {
		v := &x.vectors[at+i]
		v.Base = unsafe.SliceData(ds[i].Data)
		v.SetLen(len(ds[i].Data))
	}
	h := &x.messages[x.n].header
	h.Iov = &x.vectors[at]
	h.SetIovlen(len(ds))
	h.Name = (*byte)(unsafe.Pointer(&x.names[x.n]))
	h.Namelen = s.putName(&x.names[x.n], ds[0].Peer)
	size := 0
	if len(ds) > 1 {
		size = len(ds[0].Data)
	}
	x.size[x.n], x.parts[x.n] = size, len(ds)
	local := ds[0].Local
	if s.choose && !local.IsValid() {
		local = s.options.Source(ds[0].Peer.Addr())
	}
	n := s.putControl(&x.controls[x.n], local, size)
	h.Control = nil
	if n > 0 {
		h.Control = (*byte)(unsafe.Pointer(&x.controls[x.n]))
	}
	h.SetControllen(n)
	x.n++
}

// putName writes the address of a peer and returns its length. The length 0 stands for
// an invalid address, which the kernel refuses.
func (s *UDPSocket) putName(raw *unix.RawSockaddrInet6, peer netip.AddrPort) uint32 {
	if !peer.IsValid() || !s.inet6 && !peer.Addr().Is4() {
		return 0
	}
	binary.BigEndian.PutUint16(unsafe.Slice((*byte)(unsafe.Pointer(&raw.Port)), 2), peer.Port())
	if !s.inet6 {
		raw.Family = unix.AF_INET
		(*unix.RawSockaddrInet4)(unsafe.Pointer(raw)).Addr = peer.Addr().As4()
		return unix.SizeofSockaddrInet4
	}
	raw.Family, raw.Flowinfo, raw.Scope_id = unix.AF_INET6, 0, zoneID(peer.Addr().Zone())
	raw.Addr = peer.Addr().As16()
	return unix.SizeofSockaddrInet6
}

// putControl writes the source address, if local is valid, and the segment size, if
// size is not 0, and returns the length of the control data.
func (s *UDPSocket) putControl(c *control, local netip.Addr, size int) int {
	data, n := c.bytes(), 0
	put := func(level, kind int32, length int) []byte {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&data[n]))
		h.Level, h.Type = level, kind
		h.SetLen(unix.CmsgLen(length))
		body := data[n+unix.CmsgLen(0):][:length]
		clear(body)
		n += unix.CmsgSpace(length)
		return body
	}
	switch {
	case !s.choose || !local.IsValid() || local.IsLinkLocalUnicast() || local.IsMulticast():
	case s.inet6:
		ip := local.As16()
		copy(put(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo), ip[:])
	case local.Is4():
		ip := local.As4()
		copy(put(unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)[4:], ip[:])
	}
	if size > 0 {
		binary.NativeEndian.PutUint16(put(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2), uint16(size))
	}
	return n
}

// send sends the packed messages of ds and returns how many datagrams the kernel
// accepted. The others are counted in lost.
func (x *sender) send(lost losses, s *UDPSocket, ds []Datagram) int {
	sent, total := 0, x.n
	x.n = 0
	for m := 0; m < total; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&x.messages[m])), uintptr(total-m), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			for range int(n) {
				sent += x.parts[m]
				ds = ds[x.parts[m]:]
				m++
			}
			continue
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN: // the socket's send buffer is full
			lost.Drop(core.DropFull, len(ds))
			return sent
		case x.parts[m] > 1 && isSegmentError(errno):
			n := s.sendOne(lost, ds[:x.parts[m]])
			if n > 0 { // segmentation was the cause
				s.lowerSegment(errno, x.size[m])
			}
			sent += n
		default:
			lost.Drop(lossOf(errno), x.parts[m])
		}
		ds = ds[x.parts[m]:]
		m++
	}
	return sent
}

// sendTo sends one datagram by the cheapest call.
func (x *sender) sendTo(lost losses, s *UDPSocket, d *Datagram) int {
	size := s.putName(&x.names[0], d.Peer)
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(d.Data))), uintptr(len(d.Data)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&x.names[0])), uintptr(size))
		switch errno {
		case 0:
			return 1
		case unix.EINTR:
		default:
			lost.Drop(lossOf(errno), 1)
			return 0
		}
	}
}

// isSegmentError reports whether segmentation may be the cause of a send error.
func isSegmentError(errno error) bool {
	return errno == unix.EIO || errno == unix.EINVAL || errno == unix.EMSGSIZE || errno == unix.EOPNOTSUPP
}

// lowerSegment lowers the socket's segment limit, so that later messages don't fail in
// the same way: the device can't segment at all (EIO), or the datagrams exceed the
// device's MTU.
func (s *UDPSocket) lowerSegment(errno error, size int) {
	if errno == unix.EIO || errno == unix.EOPNOTSUPP {
		size = 1
	}
	s.segment.Store(min(s.segment.Load(), int32(size-1)))
}

// sendOne sends each datagram as a message of its own.
func (s *UDPSocket) sendOne(lost losses, ds []Datagram) int {
	x := borrowSender()
	defer senders.Put(x)
	for i := range ds {
		x.put(s, i, ds[i:i+1])
	}
	return x.send(lost, s, ds)
}
