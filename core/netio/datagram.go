package netio

import "net/netip"

// Datagram is one datagram at a UDPSocket.
type Datagram struct {
	Peer  netip.AddrPort // its source, or its destination; IPv4 unmapped
	Local netip.Addr     // our address that it came to, or leaves from; not valid where the kernel is to choose
	Data  []byte

	// Original is where its sender sent a datagram that came, IPv4 unmapped. It is
	// valid on sockets with SocketOptions.OriginalDestination alone. Behind a TPROXY
	// rule it is not our address.
	Original netip.AddrPort
}

// DatagramSink takes a burst of datagrams under the rules of PacketSink.
type DatagramSink func(ds []Datagram)

// MaxBurst is how many datagrams a burst has at the most. It is what one
// message of the kernel's segmentation may hold, too.
const MaxBurst = 64

// listenBuffer is how many bytes the kernel may keep for a socket that many
// clients share, each way: some 20 ms at 1 Gbit/s.
const listenBuffer = 4 << 20
