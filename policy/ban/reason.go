package ban

import (
	"errors"

	"github.com/umbra-proxy/umbra/core"
)

// reason is what a client failed in.
type reason uint8

const (
	authFailed reason = iota // bytes or a password under no key of ours
	replayed                 // a true request that had been seen
	cutShort                 // too few bytes, and a look at an open port
	malformed                // bytes that break the protocol, and prove nothing
	reasons                  // how many there are
)

var reasonNames = [reasons]string{"auth", "replay", "short", "malformed"}

func (r reason) String() string { return reasonNames[r] }

// defaultWeights is what a failure counts: what only an attacker does is one in full,
// what lost clients and health checks do too a tenth.
var defaultWeights = [reasons]float64{1, 1, 0.1, 0.1}

// reasonOf returns why an event counts against its client. It reports false for what
// is no fault of an attacker: mistakes of those who have a key, a wrong clock among
// them, what policy refused, and all of UDP, whose sources can be forged.
func reasonOf(e core.Event) (reason, bool) {
	if e.Client.Network != core.TCP {
		return 0, false
	}
	if e.Kind != core.HandshakeFailed || e.Authenticated {
		// What another node of the fleet has received is known after the handshake.
		return replayed, e.Kind == core.Refused && errors.Is(e.Err, core.ErrReplay)
	}
	switch {
	case errors.Is(e.Err, core.ErrUntrusted): // a forged PROXY header, or a visit past the balancer
		return authFailed, true
	case errors.Is(e.Err, core.ErrClock), errors.Is(e.Err, core.ErrDenied), errors.Is(e.Err, core.ErrShutdown),
		errors.Is(e.Err, core.ErrIdle): // between two requests of a connection
		return 0, false
	case errors.Is(e.Err, core.ErrReplay):
		return replayed, true
	case errors.Is(e.Err, core.ErrAuth):
		return authFailed, true
	case errors.Is(e.Err, core.ErrMalformed):
		return malformed, true
	}
	return cutShort, true
}

// isProof reports whether an event shows that its client has a key.
func isProof(e core.Event) bool {
	return e.Kind == core.Opened && e.Authenticated && e.Client.Network == core.TCP
}
