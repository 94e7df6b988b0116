package core

// Policy is a component that decides who may do what. It is a Gate, a
// Middleware or both; one with a Gate stands before the inbound in the chain.
type Policy any

// Gate is asked about a client before anything is read from it. Every nil Admit is
// followed by exactly one event that ends it: Moved, Refused, HandshakeFailed,
// DialFailed or Closed. Behind a balancer it is asked after the header that names
// the client, and is told nothing of connections without one. It gets no Connected.
type Gate interface {
	Admit(c Client) error
	Observer
}

// Ending is how the connection of a client ends that a gate does not admit.
type Ending uint8

// The endings. The first is what the inbound itself does to whoever makes no
// request.
const (
	EndAsFailed Ending = iota
	EndDrained         // read on in silence until the handshake's deadline, then a FIN
	EndClosed          // a FIN at once
	EndReset           // a reset at once
	EndTarpit          // held for as long as the client bears it
)

// Refusal is the error of a gate that says how the connection ends too. It is an
// ErrDenied.
type Refusal struct {
	Err error
	End Ending
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the reason, and ErrDenied.
func (r *Refusal) Unwrap() []error { return []error{r.Err, ErrDenied} }
