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
	// error Accepted.Payload is every byte read, unchanged, and conn still belongs
	// to the caller.
	AcceptStream(conn Stream, from Caller) (Accepted, error)

	// Derive fills out with bytes that depend on the key and the label alone.
	Derive(label string, out []byte)

	// Method returns the method's standard name.
	Method() string
}

// RequestSizer is a Cipher, or an IdentityRelay, that computes nothing before it has
// a certain number of bytes of a request. Until as many have arrived a server may wait
// for them in a way that costs less memory than AcceptStream does.
type RequestSizer interface {
	// LeastRequest returns that number. A complete request has at least as many bytes.
	LeastRequest() int
}

// Caller is the client of AcceptStream, whose request has not been read yet.
type Caller struct {
	Addr netip.AddrPort // the client's own, IPv4 unmapped

	// Waits, if it is not nil, is called with all bytes read so far before each
	// wait for more, until the request proves that its sender holds a key. It
	// neither keeps nor changes them. A decoy uses it to answer an incomplete
	// request as soon as a complete one.
	Waits func(soFar []byte)

	// Until is the time by which the request must have been read, if it is not zero.
	// Ended, if it is not nil, is closed when reading must stop sooner. Both are for
	// waits other than for conn, which has the same deadline.
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

	// Unproven says that the request may be random bytes: the method does not
	// authenticate.
	Unproven bool
}

// RelayCipher is a Cipher whose requests name their server in an identity header, so
// that a relay can forward them without the key that seals them (SIP023).
type RelayCipher interface {
	Cipher
	// NewRelay returns a relay to servers. Its errors name the server.
	NewRelay(next []NextServer) (IdentityRelay, error)
}

// NextServer is a server behind a relay.
type NextServer struct {
	Name string
	Key  string // the server's first key, in the form of a file
}

// IdentityRelay forwards requests to the server that each names. It is safe for
// concurrent use.
type IdentityRelay interface {
	// AcceptFlight reads the beginning of a request, under the rules of
	// AcceptStream. It returns the index of the request's server, and all bytes read
	// so far in the form that this server accepts; later bytes of conn are in that
	// form already. On an error flight is every byte read, unchanged.
	AcceptFlight(conn Stream, from Caller) (next int, flight []byte, err error)
	// OpenPacket does the same for a datagram, in place.
	OpenPacket(wire []byte) (next int, forwarded []byte, err error)
}
