package core

import (
	"context"
	"net/netip"
)

// Transport hides or carries a wire: TLS, WebSocket, obfuscation.
type Transport interface {
	// Client wraps a wire that we dialled. server is what was dialled.
	Client(ctx context.Context, wire Stream, server Addr) (Stream, error)
	// Server wraps a wire that we accepted. It honours wire's deadline. On an
	// error the wire is the caller's still.
	Server(ctx context.Context, wire Stream) (Stream, error)
}

// EarlyTransport is a Transport whose handshake can carry the first bytes of the stream, which
// then need not wait for the peer's answer.
type EarlyTransport interface {
	Transport
	// ClientEarly is Client with the bytes that will be written first, which it does not
	// change. It returns how many of them the handshake has carried. Its error is marked by
	// Sent if the peer may have taken some of them.
	ClientEarly(ctx context.Context, wire Stream, server Addr, first []byte) (s Stream, n int, err error)
}

// Carrier is a Transport that is a program of its own: it reaches the server by itself, and
// accepts in the place of an inbound. It stands under all others, and Client and Server
// return the wire as it is: a connection with the program.
type Carrier interface {
	Transport
	// Carry returns a Dialer that dials the program over net, which is the bare network,
	// in place of server. Nothing is started before the component runs.
	Carry(net Dialer, server Addr) Dialer
	// Behind returns the address on which an inbound has to listen so that the program can
	// accept its clients on public. It is called when the inbound listens; the program
	// starts when the component runs.
	Behind(public netip.AddrPort) (netip.AddrPort, error)
	// Carries reports whether the program carries a network.
	Carries(Network) bool
}

// CarrierOf returns the Carrier under a list of transports, or nil.
func CarrierOf(ts []Transport) Carrier {
	if len(ts) == 0 {
		return nil
	}
	c, _ := ts[0].(Carrier)
	return c
}
