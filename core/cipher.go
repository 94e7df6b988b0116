package core

import "net/netip"

// Cipher is one configured encryption method: the protection of streams in
// both roles. One that protects datagrams too is also a PacketCipher.
type Cipher interface {
	// DialStream opens a stream as a client. It calls dial once with hello: the
	// salt, the headers and as much of payload as fits, so that a chain of any
	// length leaves in one write. It returns when all of payload has been sent.
	DialStream(target Addr, payload []byte, dial func(hello []byte) (Stream, error)) (Stream, error)

	// AcceptStream reads a request as a server. It writes nothing, and it
	// waits for bytes until conn's deadline rather than react to too few. On an
	// error Accepted.Payload is every byte read, unchanged, and conn is the
	// caller's still.
	AcceptStream(conn Stream, client netip.AddrPort) (Accepted, error)

	// Derive fills out with bytes that depend on the key and the label alone.
	Derive(label string, out []byte)

	// Method returns the method's standard name.
	Method() string
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
}
