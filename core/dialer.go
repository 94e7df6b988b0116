package core

import (
	"context"
	"errors"
	"time"
)

// Dialer opens the far side of a request. Outbounds, hops of a chain and all
// middleware are Dialers.
type Dialer interface {
	// DialStream opens a stream to r.Target. r.Payload has been sent when it
	// returns, in the same packet as the protocol's own header if there is one.
	DialStream(ctx context.Context, r *Request) (Stream, error)

	// OpenPackets opens a packet connection for the association r, whose Target
	// means nothing: each datagram has its own. It does not wait for the
	// network. A dialer that carries streams only returns ErrNoPackets.
	OpenPackets(ctx context.Context, r *Request) (PacketConn, error)

	// CheckPackets returns nil if OpenPackets can work, and else why not, an
	// ErrNoPackets: a file whose chain can't carry what its inbound serves is
	// refused when it is loaded.
	CheckPackets() error

	// PayloadWait tells how long to wait for the client's first bytes so that
	// they travel with the header. While the client waits for a reply before it
	// sends, a wait means that the reply comes before the dial. 0 means: dial at
	// once and reply with the true result.
	PayloadWait(r *Request) time.Duration
}

// Outbound makes Dialers over a wire. The same outbound may be a hop in
// several chains.
type Outbound interface {
	// Over returns the Dialer that reaches targets over wire: the earlier hops
	// of the chain, or Net for the first one. It returns ErrFirstHop if the
	// outbound can't be reached through another.
	Over(wire Dialer) (Dialer, error)
}

// Middleware stands between the inbound and the outbounds. It never embeds
// next, or it would inherit the half that it forgot.
type Middleware interface {
	Wrap(next Dialer) Dialer
}

// ErrFirstHop says that an outbound can't be reached through another one.
var ErrFirstHop = errors.New("can only be the first hop of a chain")
