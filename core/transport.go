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
