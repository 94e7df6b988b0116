package core

import (
	"net/netip"
	"time"
)

// Cipher is one configured encryption method: the protection of streams in
// both roles. One that protects datagrams too is also a PacketCipher.
type Cipher interface {
	// DialStream opens a stream as a client. It calls dial once with hello: the
	// salt, the headers and as much of payload as fits, so that a chain of any
	// length leaves in one write. It returns when all of payload has been sent.
	DialStream(target Addr, payload []byte, dial func(hello []byte) (Stream, error)) (Stream, error)

	// AcceptStream reads a request as a server. It writes nothing, and it
	// waits for bytes until conn's deadline rather than react to too few. On an
	// error Accepted.Payload is every byte read, unchanged, and conn is still
	// whose it was.
	AcceptStream(conn Stream, from Caller) (Accepted, error)

	// Derive fills out with bytes that depend on the key and the label alone.
	Derive(label string, out []byte)

	// Method returns the method's standard name.
	Method() string
}

// Caller is who may be sending a request.
type Caller struct {
	Addr netip.AddrPort // true client, IPv4 unmapped

	// Waits, if it is not nil, is called with all bytes read so far before each
	// wait for more, until the request proves that its sender holds a key. It
	// neither keeps nor changes them. So whoever answers in the place of a server
	// that is none can begin before the first bytes are complete.
	Waits func(soFar []byte)

	// Until is when the request must have been read, if it is not zero, and Ended, if
	// it is not nil, is closed if that is to be sooner. They are for waits other than
	// for conn, whose own deadline says the same.
	Until time.Time
	Ended <-chan struct{}
}

// PacketCipher is a Cipher that protects datagrams.
type PacketCipher interface {
	Cipher
	NewPacketClient() (PacketClient, error)
	NewPacketServer() (PacketServer, error)
}

// Accepted is a request as a cipher read it.
type Accepted struct {
	Stream  Stream // plaintext both ways; owns the connection
	Target  Addr
	User    string
	Payload []byte // first bytes for the target; valid until Stream is read
	Grant   *Grant // what the user is served under, or nil

	Once Once // see Request.Once

	// Unproven says that the request may be anybody's noise: the method can't tell
	// forged bytes from true ones.
	Unproven bool
}

// RelayCipher is a Cipher whose requests name the server that they are for in a
// header of their own, so that one on the way can pass them on without the key
// that they are sealed with.
type RelayCipher interface {
	Cipher
	// NewRelay returns what passes on to servers. Its errors name the server.
	NewRelay(next []NextServer) (IdentityRelay, error)
}

// NextServer is a server that requests are passed on to.
type NextServer struct {
	Name string
	Key  string // the first key of its own, as files have it
}

// IdentityRelay passes on requests by the server that they name. It is safe for
// concurrent use.
type IdentityRelay interface {
	// AcceptFlight reads the beginning of a request, under the rules of
	// AcceptStream. It returns the index of the server that it is for, and all that
	// has been read in the form that this server takes; what comes later on conn is
	// in that form. On an error flight is every byte read, unchanged.
	AcceptFlight(conn Stream, from Caller) (next int, flight []byte, err error)
	// OpenPacket returns the same for a datagram. It works in place.
	OpenPacket(wire []byte) (next int, forwarded []byte, err error)
}
