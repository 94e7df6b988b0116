package core

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Request is what an inbound learned of one connection or UDP association
// before anything is dialled. Middleware passes on a changed copy; Flow is the
// one thing that all copies share.
type Request struct {
	ID      uint64       // unique in the process
	Network Network      // TCP for a stream, UDP for an association
	User    string       // identity proven in the handshake, or ""
	Client  Client       // as the gates were asked about it
	Target  Addr         // where the client wants to go
	IPs     []netip.Addr // the target's addresses, if a resolver has looked them up
	Payload []byte       // first bytes for the target; valid until DialStream returns
	Flow    *Flow
	Grant   *Grant // the user's right to be served, or nil

	// Once identifies the request among all others made under its key, where the
	// protocol has such an identifier.
	Once Once

	// Unproven says that the client has not proved that it holds a key or a
	// password, where the inbound asks for one.
	Unproven bool

	// Wire is the client's connection, or nil if it has none of its own. Its state may be
	// looked at; its bytes are the inbound's and then the relay's.
	Wire net.Conn

	// AwaitsReply says that a client which has sent nothing after its request can't have
	// ended its direction and still want the reply: its end says that it has gone.
	AwaitsReply bool

	// Passed are the pipelines of this process that the request is in or has come through:
	// an outbound of one may dial the inbound of another. The pipeline sets it.
	Passed *Passed

	// Accepted is when the client connected, or its first datagram came, and Admitted when
	// it was let in.
	Accepted, Admitted time.Time

	// Ended, if not nil, is called when a stream has ended and gates and observers
	// have been notified. An inbound that reads several requests from a connection waits
	// for it before it takes the next one.
	Ended func()
}

// Passed is a list of pipelines, the latest first.
type Passed struct {
	Pipeline string
	Before   *Passed
}

// Has reports whether a pipeline is in the list.
func (p *Passed) Has(pipeline string) bool {
	for ; p != nil; p = p.Before {
		if p.Pipeline == pipeline {
			return true
		}
	}
	return false
}

// Once identifies a request that may come once: a second one is a replay.
type Once struct {
	ID    []byte    // empty if there is none
	Until time.Time // after which a replay is refused for its age; the zero Time for never
}

// requestKey is the key of a request in a context.
type requestKey struct{}

// ForRequest returns a ctx for work that r causes before it is served. Only bounds by
// client and by user read it, such as those of lookups.
func ForRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestOf returns the request that ctx is for, or nil: the program's own work.
func RequestOf(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}
