package core

import "net/netip"

// Interleave is interleave for package core_test.
var Interleave = interleave

// Sizes of the buffers that are lent.
const (
	BigBuffer   = bigBuffer
	SmallBuffer = smallBuffer
)

// Sweeping reports whether the timer that looks for idle streams runs.
func Sweeping(p *Pipeline) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sweep != nil
}

// Relay is relay for a caller that waits.
func Relay(f *Flow, client, upstream Stream) error {
	done := make(chan error, 1)
	relay(f, client, upstream, func(err error) { done <- err })
	return <-done
}

// KnownNames returns how many names a PacketConn of ResolvePackets remembers or
// looks up.
func KnownNames(c PacketConn) int {
	r := c.(*resolvingPackets)
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.names)
}

// Bounds on the names of one association, and the life of a name.
const (
	MaxLookups = maxLookups
	MaxNames   = maxNames
	MaxWaiting = maxWaiting
	NameLife   = nameLife
)

// SweepingPackets is Sweeping for associations.
func SweepingPackets(p *Pipeline) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.packetSweep != nil
}

// HandshakesOf returns how many handshakes of one source are in progress.
func HandshakesOf(s *Server, source string) int {
	s.handshakes.mu.Lock()
	defer s.handshakes.mu.Unlock()
	by := s.handshakes.bySource[SourceOf(netip.MustParseAddr(source))]
	if by == nil {
		return 0
	}
	return by.Len()
}

// EndAs and TarpitConn are what ends the connections of clients that a gate refuses.
var (
	EndAs      = endAs
	TarpitConn = tarpit
)
