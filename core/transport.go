package core

import "context"

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
