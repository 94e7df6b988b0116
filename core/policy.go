package core

// Policy is a component that decides which clients and requests are served, or that
// observes them. Its roles are Gate, Middleware and Observer; a file with a policy that
// has none is refused. A Gate stands before the inbound in the chain, a Middleware that
// is no Gate after it, and an Observer alone on either side.
type Policy any

// Gate is asked about a client before anything is read from it. Every nil Admit is
// followed by exactly one event that ends it: Moved, Refused, HandshakeFailed,
// DialFailed or Closed. Behind a balancer it is asked after the header that names
// the client, and is notified of no connection without one. It gets no Connected.
type Gate interface {
	Admit(c Client) error
	Observer
}

// Ending is how a connection ends that a gate refuses. Package ending has the table.
type Ending uint8

// The endings.
const (
	EndAsFailed Ending = iota // as a failed handshake of the inbound
	EndDrained                // silence until the handshake's deadline, then a FIN
	EndClosed                 // a FIN at once
	EndReset                  // a RST at once
	EndTarpit                 // held for up to an hour
)

// Refusal is the error of a gate that chooses how the connection ends. It is an
// ErrDenied.
type Refusal struct {
	Err error
	End Ending
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the reason, and ErrDenied.
func (r *Refusal) Unwrap() []error { return []error{r.Err, ErrDenied} }
