package option

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

// Values returns the ways.
func (Reject) Values() []string {
	return []string{string(RejectDrain), string(RejectClose), string(RejectReset), string(RejectForward)}
}

// UnmarshalText reads one of the ways.
func (r *Reject) UnmarshalText(text []byte) error { return ReadWord(r, text, r.Values()) }
