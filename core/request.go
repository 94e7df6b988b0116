package core

import (
	"net/netip"
	"time"
)

// Request is what an inbound learned of one connection or UDP association
// before anything is dialled. Middleware passes on a changed copy; Flow is the
// one thing that all copies share.
type Request struct {
	ID      uint64         // unique in the process
	Inbound string         // name of the inbound's table
	User    string         // identity proven in the handshake, or ""
	Client  netip.AddrPort // true client, IPv4 unmapped
	Target  Addr           // where the client wants to go
	IPs     []netip.Addr   // the target's addresses, if a resolver has looked them up
	Payload []byte         // first bytes for the target; valid until DialStream returns
	Flow    *Flow
	Grant   *Grant // what the user is served under, or nil

	// Once tells the request apart from all others made under its key, where the
	// protocol has something that does.
	Once Once

	// Unproven says that the client has not proved that it holds a key or a
	// password, where the inbound asks for one.
	Unproven bool

	// Unattributed says that a balancer passed the connection on without naming
	// a client: it is the balancer's own, such as a health check, or its client
	// has no address. Client is the balancer then, who must not be counted,
	// limited or banned; gates are neither asked nor told.
	Unattributed bool
}

// Once is what may come once: a request with it that comes again is a recording.
type Once struct {
	ID    []byte    // empty if there is none
	Until time.Time // after which a recording is refused for its age; the zero Time for never
}
