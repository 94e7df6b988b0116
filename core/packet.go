package core

import "net/netip"

// MaxDatagram is the largest payload of a UDP datagram over IPv4 in bytes.
const MaxDatagram = 65507

// Packet is one datagram with its far address: the source for one that came, the
// destination for one to be sent.
type Packet struct {
	Addr Addr
	Data []byte
}

// PacketConn carries the datagrams of one association, many a call. None of its
// methods waits: a datagram that can't be sent at once is lost, as in any network, so
// a slow target delays no other client of the socket.
//
// A PacketConn that fails by itself cuts the flow of the request that it was opened
// for; its owner closes it then.
type PacketConn interface {
	// WritePackets sends ps in order and returns how many were accepted; the others
	// are dropped. An error says that all later calls will fail too. It may be
	// called from several goroutines at once. It may change ps and their Data,
	// and keeps neither.
	WritePackets(ps []Packet) (int, error)

	// Receive passes arriving datagrams to sink from now on. It is called at most
	// once, and returns at once.
	Receive(sink PacketSink)

	// Close ends the connection. A call of the sink that is under way continues, and
	// one more may begin concurrently. Close may be called again, and from within the
	// sink.
	Close() error
}

// PacketSink receives a burst of datagrams, at least one. It does not wait, and
// keeps neither ps nor their Data, but may change both. It is called for one burst of
// a connection at a time.
type PacketSink func(ps []Packet)

// PacketClient protects the datagrams of one client session.
type PacketClient interface {
	// Overhead returns how many bytes a protected datagram to target has beyond
	// its payload, at the most.
	Overhead(target Addr) int
	// AppendPacket appends the protected form of payload to dst, which it must
	// not share memory with. It may be called from several goroutines at once.
	AppendPacket(dst, payload []byte, target Addr) ([]byte, error)
	// OpenPacket opens a reply. It works in place: the payload aliases wire,
	// whose bytes are spoiled if it fails.
	OpenPacket(wire []byte) (payload []byte, source Addr, err error)
}

// PacketServer opens the datagrams that a server receives. It is safe for
// concurrent use.
type PacketServer interface {
	// Open authenticates before it creates or changes any state. It works in place,
	// as PacketClient.OpenPacket does.
	Open(wire []byte, from netip.AddrPort) (OpenedPacket, error)
	// Roams reports whether clients may change their address: a session is then
	// what Open returned as Session; else it is that and the client's address.
	Roams() bool
}

// OpenedPacket is a client's datagram in the clear.
type OpenedPacket struct {
	Session PacketSession // of the sender; the same pointer for all its datagrams
	Target  Addr
	Payload []byte // aliases the wire
}

// GrantedSession is a PacketSession whose user can be removed during the session.
type GrantedSession interface {
	PacketSession
	// Grant returns the user's right to be served, or nil.
	Grant() *Grant
}

// PacketSession protects the replies to one client, or, where clients don't
// roam, to all that share a key. It is a pointer, so that it can be compared, and
// safe for concurrent use.
type PacketSession interface {
	// Overhead is that of PacketClient, for a reply from source.
	Overhead(source Addr) int
	// AppendPacket appends the protected form of payload to dst, which it must
	// not share memory with.
	AppendPacket(dst, payload []byte, source Addr) ([]byte, error)
	// User returns the identity that was proved, or "".
	User() string
	// Close ends the session, after its association. The client's next datagram
	// begins another one; the memory of replays is kept for as long as replays are
	// possible. Where clients share a session Close does nothing.
	Close()
}

// A PacketSealer seals datagrams: a PacketClient, a PacketSession, or a header of a
// protocol without encryption.
type PacketSealer interface {
	// Overhead returns how many bytes the form has beyond the payload, at the
	// most.
	Overhead(addr Addr) int
	// AppendPacket appends payload in its form to dst, which it must not share
	// memory with.
	AppendPacket(dst, payload []byte, addr Addr) ([]byte, error)
}
