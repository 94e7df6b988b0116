package netio

import "net/netip"

// Datagram is one datagram at a UDPSocket.
type Datagram struct {
	Peer  netip.AddrPort // the source of a received datagram, the destination of a sent one; IPv4 unmapped
	Local netip.Addr     // this machine's address in the datagram; not valid where the kernel chooses
	Data  []byte

	// Original is the destination of a received datagram, IPv4 unmapped. It is valid
	// only on sockets with SocketOptions.OriginalDestination. Behind a TPROXY rule it
	// is not an address of this machine.
	Original netip.AddrPort
}

// DatagramSink receives a burst of datagrams under the rules of core.PacketSink.
type DatagramSink func(ds []Datagram)

// MaxBurst is the largest number of datagrams in a burst. It is also the kernel's
// limit of segments in one message.
const MaxBurst = 64

// listenBuffer is the size in bytes of each kernel buffer, receive and send, of a
// socket that many clients share: some 20 ms at 1 Gbit/s.
const listenBuffer = 4 << 20
