package core

import (
	"net/netip"
	"time"
)

// Observer is notified of each step of connections once. Observe is called by whatever
// serves the connection, so it must not block: what takes time belongs behind a bounded
// queue. A panic is logged and ends nothing. What the Event points to belongs to the
// connection: Observe changes none of it and keeps what it needs as a copy.
//
// A component of [observer.x], or of [policy.x] if it is no Gate, is notified of every
// connection of the pipelines whose chains name it: Connected first, and last one of
// Refused, HandshakeFailed, DialFailed and Closed, also where a gate refuses the client
// or a balancer names none.
type Observer interface {
	Observe(e Event)
}

// StepObserver is an Observer that wants the steps of requests: see Flow.Record.
type StepObserver interface {
	Observer
	// WantsSteps is asked once for each request. It must not block.
	WantsSteps() bool
}

// EventKind is what happened to a connection.
type EventKind uint8

// The kinds of events. The last four end a connection; Moved ends it for a gate that
// admitted the client at its earlier address.
const (
	Connected       EventKind = iota + 1 // a client is known and nothing was read from it; gates are asked instead
	Opened                               // the target is reached and the relay begins; Closed follows
	Moved                                // a UDP client goes on from another address, which was admitted; Event.Client is the earlier one
	Refused                              // a gate refused the client, or a policy its request
	HandshakeFailed                      // the client's first bytes made no request
	DialFailed                           // the target or a hop could not be reached
	Closed                               // the connection has ended; no Opened came if the client left first
)

var eventNames = [...]string{"unknown", "connected", "opened", "moved", "refused", "handshake failed", "dial failed", "closed"}

// String returns the kind in words.
func (k EventKind) String() string {
	if int(k) >= len(eventNames) {
		k = 0
	}
	return eventNames[k]
}

// Ends reports whether an event of this kind is the last one of its connection.
func (k EventKind) Ends() bool { return k >= Refused }

// Event is one step in a connection's life.
type Event struct {
	Kind     EventKind
	Pipeline string
	Client   Client
	Request  *Request // nil until it is known; its Flow has the bytes
	Stages   Stages

	// Path names the outbounds that the connection takes, as "outbound.paris", the
	// nearest hop first, with every branch chosen on the way. It is empty until the
	// request is known, and must not be changed.
	Path []string

	// Next is the address that the client of a Moved goes on from. It is not valid in other
	// events, nor if the connection ended while its client moved.
	Next netip.AddrPort

	Received int64 // bytes that the client of a HandshakeFailed had sent; -1 if that is not known

	Authenticated bool  // the client proved that it holds a key or a password
	Err           error // nil for an orderly end
}

// Reason returns in one word why the connection ended, "" for an orderly end or
// for one that has not ended: see ReasonOf.
func (e Event) Reason() string {
	if e.Kind == HandshakeFailed {
		return HandshakeReasonOf(e.Err)
	}
	return ReasonOf(e.Err)
}

// Stages are the times of a connection's steps. Those that it did not come to are
// zero.
type Stages struct {
	Accepted  time.Time // the client connected, or its first datagram came
	Admitted  time.Time // the gates, and a balancer's header before them, let it in
	Requested time.Time // its request was read
	Reached   time.Time // the target, or the last hop, was reached
	Answered  time.Time // the first bytes came back; only where steps are recorded
	Ended     time.Time
}
