package core

import (
	"errors"
	"time"
)

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

const (
	tarpitTime = time.Hour   // for which a client is held at the most
	tarpitStep = time.Second // between one byte that is taken from it and the next
)

// endAs ends a connection as a gate has asked for. It reports false if that is the
// inbound's own affair.
func endAs(conn Stream, cause error) bool {
	refusal, ok := errors.AsType[*Refusal](cause)
	if !ok {
		return false
	}
	switch refusal.End {
	case EndDrained:
		Drain(conn)
	case EndClosed:
		Dismiss(conn)
	case EndReset:
		Abort(conn)
	case EndTarpit:
		tarpit(conn)
	default:
		return false
	}
	return true
}

// tarpit takes a byte a second from a client and says nothing. Whoever sets conn's
// deadline afterwards ends it.
func tarpit(conn Stream) {
	_ = conn.SetDeadline(time.Now().Add(tarpitTime))
	for b := make([]byte, 1); ; time.Sleep(tarpitStep) {
		if err := WaitReadable(conn); err != nil {
			return
		}
		if _, err := conn.Read(b); err != nil {
			return
		}
	}
}
