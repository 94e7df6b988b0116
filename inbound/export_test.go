package inbound

import (
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// HandshakesOf returns how many handshakes of one source are in progress.
func HandshakesOf(s *Server, source string) int {
	s.handshakes.mu.Lock()
	defer s.handshakes.mu.Unlock()
	by := s.handshakes.bySource[core.SourceOf(netip.MustParseAddr(source))]
	if by == nil {
		return 0
	}
	return by.Len()
}
