package option

import "fmt"

// Mode is what an inbound serves: "tcp", "udp" or "both", which "" means too.
type Mode string

// UnmarshalText reads one of the three words.
func (m *Mode) UnmarshalText(text []byte) error {
	switch s := string(text); s {
	case "tcp", "udp", "both":
		*m = Mode(s)
		return nil
	default:
		return fmt.Errorf("%q is no mode; write %q, %q or %q", s, "tcp", "udp", "both")
	}
}

// Streams reports whether TCP is served.
func (m Mode) Streams() bool { return m != "udp" }

// Packets reports whether UDP is served.
func (m Mode) Packets() bool { return m != "tcp" }
