package option

import "fmt"

// Reject is how a connection ends that makes no request: "drain", which "" means
// too, "close", "reset" or "forward".
type Reject string

// The ways.
const (
	RejectDrain   Reject = "drain"
	RejectClose   Reject = "close"
	RejectReset   Reject = "reset"
	RejectForward Reject = "forward"
)

// UnmarshalText reads one of the four words.
func (r *Reject) UnmarshalText(text []byte) error {
	switch w := Reject(text); w {
	case RejectDrain, RejectClose, RejectReset, RejectForward:
		*r = w
		return nil
	default:
		return fmt.Errorf("%q is no way to reject; write %q, %q, %q or %q", text, RejectDrain, RejectClose, RejectReset, RejectForward)
	}
}
