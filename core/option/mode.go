package option

import "github.com/umbra-proxy/umbra/core"

// Mode is what an inbound serves: "tcp", "udp" or "both", which "" means too.
type Mode string

// Values returns the three words.
func (Mode) Values() []string { return []string{"tcp", "udp", "both"} }

// UnmarshalText reads one of them.
func (m *Mode) UnmarshalText(text []byte) error { return ReadWord(m, text, m.Values()) }

// Streams reports whether TCP is served.
func (m Mode) Streams() bool { return m != Mode(core.UDP) }

// Packets reports whether UDP is served.
func (m Mode) Packets() bool { return m != Mode(core.TCP) }

// Networks returns the networks that are served.
func (m Mode) Networks() core.Networks {
	switch m {
	case Mode(core.TCP):
		return core.OverTCP
	case Mode(core.UDP):
		return core.OverUDP
	}
	return core.OverTCP | core.OverUDP
}
