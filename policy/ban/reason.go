package ban

import (
	"errors"

	"github.com/umbra-proxy/umbra/core"
)

// reason is the kind of a client's failure.
type reason uint8

const (
	authFailed reason = iota // bytes or a password that match no key of the server
	replayed                 // a valid request that was received before
	cutShort                 // too few bytes, as from a port scan
	malformed                // unauthenticated bytes that violate the protocol
	reasons                  // the number of reasons
)

var reasonNames = [reasons]string{"auth", "replay", "short", "malformed"}

func (r reason) String() string { return reasonNames[r] }

// defaultWeights are the weights of failures: 1 for failures that only attackers
// cause, 0.1 for those that misdirected clients and cut connections cause too.
var defaultWeights = [reasons]float64{1, 1, 0.1, 0.1}

// reasonOf returns the reason for which an event counts against its client. It
// returns false for events that do not indicate an attack: mistakes of a client that
// has a key, such as a wrong clock, refusals by policy, and all of UDP, whose source
// addresses can be forged.
func reasonOf(e core.Event) (reason, bool) {
	if e.Client.Network != core.TCP {
		return 0, false
	}
	if e.Kind != core.HandshakeFailed || e.Authenticated {
		// A replay of another node's request is detected only after the handshake.
		return replayed, e.Kind == core.Refused && errors.Is(e.Err, core.ErrReplay)
	}
	switch {
	case errors.Is(e.Err, core.ErrProxyHeader): // a balancer that stands for many clients
		return 0, false
	case errors.Is(e.Err, core.ErrNothing): // a connect check, as monitors and balancers make
		return 0, false
	case errors.Is(e.Err, core.ErrUntrusted): // a forged PROXY header, or a connection that bypasses the balancer
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

// isProof reports whether an event proves that its client has a key.
func isProof(e core.Event) bool {
	return e.Kind == core.Opened && e.Authenticated && e.Client.Network == core.TCP
}
