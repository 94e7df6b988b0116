package core

import "time"

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
