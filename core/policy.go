package core

import (
	"net/netip"
	"time"
)

// Policy is a component that decides who may do what. It is a Gate, a
// Middleware or both; one with a Gate stands before the inbound in the chain.
type Policy any

// Client is who connects, before its first byte is read.
type Client struct {
	Addr    netip.AddrPort // true client, IPv4 unmapped
	Network string         // "tcp" or "udp"
	Inbound string         // name of the inbound's table
}

// Gate is asked about a client before anything is read from it. Every nil
// Admit is followed by exactly one event of the kinds Refused,
// HandshakeFailed, DialFailed and Closed. Behind a balancer it is asked after the
// header that names the client, and hears nothing of connections without one.
type Gate interface {
	Admit(c Client) error
	Observer
}

// Observer is told how connections go. Observe must not block.
type Observer interface {
	Observe(e Event)
}

// EventKind is what happened to a connection.
type EventKind uint8

// The kinds of events.
const (
	Opened          EventKind = iota + 1 // the relay has started; Closed follows
	Refused                              // policy refused the request
	HandshakeFailed                      // the first bytes made no request
	DialFailed                           // the target or a hop could not be reached
	Closed                               // the stream has ended; there was no Opened if its client failed before
)

var eventNames = [...]string{"unknown", "opened", "refused", "handshake failed", "dial failed", "closed"}

// String returns the kind in words.
func (k EventKind) String() string {
	if int(k) >= len(eventNames) {
		k = 0
	}
	return eventNames[k]
}

// Event is one step in a connection's life.
type Event struct {
	Kind          EventKind
	Client        Client
	Request       *Request // nil if the handshake failed
	Authenticated bool     // the peer proved that it holds a key or a password
	Err           error    // nil for an orderly end
	Took          time.Duration
}
