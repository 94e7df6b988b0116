//go:build linux && !portable

package netio

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"github.com/umbra-proxy/umbra/core/panics"
	"golang.org/x/sys/unix"
)

const (
	// receiveSlots is how many messages one call reads. A message is one datagram,
	// or, with GRO, many datagrams of one sender.
	receiveSlots = 32
	// receiveRoom is the memory for each message in bytes: the longest message,
	// rounded up. Pages that no message has reached are not resident.
	receiveRoom = 64 << 10
	// controlWords is the size of a message's control data in words of 8 bytes: the
	// local address (40 bytes), the segment size (24) and the original destination
	// (48).
	controlWords = 14
)

// message is a struct mmsghdr: the header of one message and its length in bytes.
type message struct {
	header unix.Msghdr
	n      uint32
}

// control is the memory for a message's control data, aligned as the kernel requires.
type control [controlWords]uint64

func (c *control) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(c)), len(c)*8) }

// receiver is the scratch of a poller.
type receiver struct {
	messages [receiveSlots]message
	vectors  [receiveSlots]unix.Iovec
	names    [receiveSlots]unix.RawSockaddrInet6
	controls [receiveSlots]control
	memory   []byte

	burst [MaxBurst]Datagram
	n     int // used entries of burst
	last  lastPeer
}

// lastPeer caches the conversion of the last peer's address, for runs of datagrams
// from one peer.
type lastPeer struct {
	raw  unix.RawSockaddrInet6
	peer netip.AddrPort
}

func newReceiver() *receiver {
	x := &receiver{memory: make([]byte, receiveSlots*receiveRoom)}
	for i := range x.messages {
		x.vectors[i].Base = &x.memory[i*receiveRoom]
		x.vectors[i].SetLen(receiveRoom)
		h := &x.messages[i].header
		h.Name = (*byte)(unsafe.Pointer(&x.names[i]))
		h.Iov = &x.vectors[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&x.controls[i]))
	}
	return x
}

// busyStreak is the number of successive rounds with datagrams after which a socket
// is read in batches.
const busyStreak = 3

// receive reads the datagrams of s, in one call, and passes them to the sink. round
// counts the poller's waits.
//
// Most sockets have one datagram now and then: for them recvfrom is cheaper than
// recvmmsg, which checks for another message and carries control data. A socket that
// is ready round after round, or whose control data is needed, is read with recvmmsg
// or recvmsg from then on.
func (x *receiver) receive(s *UDPSocket, round uint64) {
	if s.streak++; s.round+1 != round {
		s.streak = 0
	}
	s.round = round
	if !s.batched && (s.choose || s.options.OriginalDestination || s.streak >= busyStreak) {
		s.batch()
	}
	n := x.read(s)
	if s.burst = n; n == 0 {
		return
	}
	err := panics.Call(func() error {
		for i := range n {
			x.unpack(s, i)
		}
		x.flush(s)
		return nil
	})
	x.n = 0
	if err != nil {
		s.panicked(err)
	}
}

// batch makes the poller read the socket in batches from now on.
func (s *UDPSocket) batch() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.batched = true
	if !s.closed { // a kernel without GRO delivers single datagrams
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	}
}

// read reads messages and returns their number. An error of the socket belongs to an
// earlier send; the read clears the error.
func (x *receiver) read(s *UDPSocket) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0
	}
	for {
		n, errno := x.call(s)
		switch errno {
		case 0:
			return n
		case unix.EINTR:
		default:
			return 0
		}
	}
}

// call reads once. The system calls don't block, so they are raw: the scheduler is not
// notified.
func (x *receiver) call(s *UDPSocket) (int, syscall.Errno) {
	first := &x.messages[0]
	if !s.batched {
		first.header.SetControllen(0)
		first.header.Namelen = uint32(unsafe.Sizeof(x.names[0]))
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&x.memory[0])), receiveRoom,
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&x.names[0])), uintptr(unsafe.Pointer(&first.header.Namelen)))
		first.header.Flags, first.n = 0, uint32(n)
		return 1, errno
	}
	most := receiveSlots
	if s.burst == 1 && s.streak == 0 {
		most = 1
	}
	for i := range most {
		h := &x.messages[i].header
		h.Namelen = uint32(unsafe.Sizeof(x.names[i]))
		h.SetControllen(len(x.controls[i]) * 8)
	}
	if most == 1 {
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&first.header)), unix.MSG_DONTWAIT)
		first.n = uint32(n)
		return 1, errno
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&x.messages)), uintptr(most), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// unpack adds the datagrams of message i to the burst. In a message that GRO
// coalesced, the last datagram may be shorter.
func (x *receiver) unpack(s *UDPSocket, i int) {
	m := &x.messages[i]
	if m.header.Flags&unix.MSG_TRUNC != 0 {
		return
	}
	d := Datagram{Peer: x.peer(&x.names[i])}
	size := x.readControl(i, &d)
	data := x.memory[i*receiveRoom:][:m.n:receiveRoom]
	if size == 0 || size >= len(data) {
		d.Data = data
		x.add(s, d)
		return
	}
	for len(data) > 0 {
		k := min(size, len(data))
		d.Data = data[:k:k]
		x.add(s, d)
		data = data[k:]
	}
}

func (x *receiver) add(s *UDPSocket, d Datagram) {
	x.burst[x.n] = d
	if x.n++; x.n == len(x.burst) {
		x.flush(s)
	}
}

func (x *receiver) flush(s *UDPSocket) {
	if x.n > 0 {
		s.sink(x.burst[:x.n])
		x.n = 0
	}
}

// peer returns the source of a message.
func (x *receiver) peer(raw *unix.RawSockaddrInet6) netip.AddrPort {
	if *raw != x.last.raw || !x.last.peer.IsValid() {
		x.last.raw, x.last.peer = *raw, addrPort(raw)
	}
	return x.last.peer
}

// readControl reads the local address into d.Local and the original destination into
// d.Original. It returns the size of the segments that GRO coalesced, or 0.
func (x *receiver) readControl(i int, d *Datagram) (size int) {
	data := x.controls[i].bytes()[:x.messages[i].header.Controllen]
	for len(data) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&data[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(data) {
			return size
		}
		body := data[unix.CmsgLen(0):n]
		switch {
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(body) >= 4:
			size = int(int32(binary.NativeEndian.Uint32(body)))
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(body) >= unix.SizeofInet6Pktinfo:
			d.Local = netip.AddrFrom16([16]byte(body)).Unmap()
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(body) >= unix.SizeofInet4Pktinfo:
			d.Local = netip.AddrFrom4([4]byte(body[4:])) // ipi_spec_dst: an address of this machine, for a broadcast too
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_ORIGDSTADDR && len(body) >= unix.SizeofSockaddrInet4,
			h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_ORIGDSTADDR && len(body) >= unix.SizeofSockaddrInet6:
			d.Original = readAddrPort(body)
		}
		data = data[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(data)):]
	}
	return size
}
