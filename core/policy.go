package core

// Policy is a component that decides who may do what, or learns of it. Its roles are
// Gate, Middleware and Observer; it has one at least, or its file is refused. One that
// is a Gate stands before the inbound in the chain, another Middleware after it, and
// what is an Observer alone anywhere before the outbounds.
type Policy any

// Gate is asked about a client before anything is read from it. Every nil
// Admit is followed by exactly one event of the kinds Refused,
// HandshakeFailed, DialFailed and Closed. Behind a balancer it is asked after the
// header that names the client, and hears nothing of connections without one.
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
