package core

import (
	"context"
	"net/netip"
)

// Inbound accepts clients and understands their first bytes: it turns each
// connection into a Request.
type Inbound interface {
	// Listen binds everything before anything is served. It may be followed by
	// Shutdown without Serve.
	Listen(ctx context.Context) error
	// Serve gives each request to h, until Shutdown. It returns nil then.
	Serve(ctx context.Context, h Handler) error
	// Shutdown stops accepting and waits for handshakes in progress until ctx
	// ends, then drops them. Requests already given to the handler go on.
	Shutdown(ctx context.Context) error
}

// Handler is what an inbound gives its requests to: the pipeline.
//
// An inbound calls Admit for each client before it reads anything, and after a nil
// Admit exactly one of HandleStream, HandlePackets and Observe, the last with
// HandshakeFailed.
type Handler interface {
	// HandleStream takes the connection over. It may return before the
	// connection ends. It calls live, which may be nil, as soon as it counts the
	// connection itself, so that a shutdown that waits for handshakes first and for
	// connections then misses none.
	HandleStream(ctx context.Context, r *Request, p Pending, live func())
	// HandlePackets does the same for an association. It returns at once, because
	// it is called where datagrams of others wait.
	HandlePackets(ctx context.Context, r *Request, p PendingPackets, live func()) Association
	Gate
}

// Association is what an inbound may ask of an association that it has given to a
// Handler.
type Association interface {
	// Move says that the client sends from another address now, and asks the gates
	// about that. If one refuses, nothing has changed.
	Move(to netip.AddrPort) error
}

// Pending is a client that waits for a stream. One of its methods is called, once.
// Only after an Accept that failed is Reject called too, and after one by which the
// client was sent nothing: its stream is an Absorber, or its request Unproven.
type Pending interface {
	// Accept tells the client that its target is reached and returns the
	// stream of its bytes.
	Accept() (Stream, error)
	// Reject tells the client why not, where the protocol can, and closes.
	Reject(cause error)
}

// PendingPackets is a client that waits for an association. One of its methods is
// called, once, and Reject after an Accept that failed.
type PendingPackets interface {
	// Accept tells the client that its association is there and returns its
	// datagrams: to their targets, and from them.
	Accept() (PacketConn, error)
	// Reject tells the client why not, where the protocol can, and closes.
	Reject(cause error)
}

// PacketInbound is an Inbound that can serve UDP.
type PacketInbound interface {
	Inbound
	// ServesPackets reports whether its options ask for that.
	ServesPackets() bool
}
