package core

import "context"

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
type Handler interface {
	// HandleStream takes the connection over. It may return before the
	// connection ends.
	HandleStream(ctx context.Context, r *Request, p Pending)
	// HandlePackets serves an association until it ends.
	HandlePackets(ctx context.Context, r *Request, client PacketConn)
	Gate
}

// Pending is a client that waits for its reply. One of its methods is called,
// once; only after an Accept that failed is Reject called too.
type Pending interface {
	// Accept tells the client that its target is reached and returns the
	// stream of its bytes.
	Accept() (Stream, error)
	// Reject tells the client why not, where the protocol can, and closes.
	Reject(cause error)
}
