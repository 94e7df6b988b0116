package core

import (
	"net/netip"
	"time"
)

// MaxDatagram is the largest payload of a UDP datagram over IPv4 in bytes.
const MaxDatagram = 65507

// Packet is one datagram with its far address: the source for one that was
// read, the destination for one to be written.
type Packet struct {
	Addr Addr
	Data []byte
}

// PacketConn carries the datagrams of one association, many a call.
type PacketConn interface {
	// ReadPackets waits for at least one datagram and reads up to len(ps) of
	// them. It fills the Data that the caller put into ps, each up to its
	// length, and cuts Data to what came; a datagram that is longer is dropped.
	ReadPackets(ps []Packet) (int, error)

	// WritePackets sends all of ps and returns how many were sent. A packet
	// that can't be sent is dropped; only an error that ends the association is
	// returned. It keeps no part of ps.
	WritePackets(ps []Packet) (int, error)

	SetReadDeadline(t time.Time) error
	Close() error
}

// PacketClient protects the datagrams of one client session.
type PacketClient interface {
	// AppendPacket appends the protected form of payload to dst.
	AppendPacket(dst, payload []byte, target Addr) ([]byte, error)
	// OpenPacket opens a reply. The payload aliases wire.
	OpenPacket(wire []byte) (payload []byte, source Addr, err error)
}

// PacketServer opens the datagrams that a server receives.
type PacketServer interface {
	// Open authenticates before it makes or moves any state. The payload
	// aliases wire.
	Open(wire []byte, from netip.AddrPort) (s PacketSession, payload []byte, target Addr, err error)
}

// PacketSession protects the replies to one client session.
type PacketSession interface {
	// AppendPacket appends the protected form of payload to dst.
	AppendPacket(dst, payload []byte, source Addr) ([]byte, error)
	// User returns the identity that the session proved, or "".
	User() string
}
