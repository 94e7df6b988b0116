package dial

import "github.com/umbra-proxy/umbra/core"

// Interleave is interleave for package core_test.
var Interleave = interleave

// KnownNames returns how many names a PacketConn of ResolvePackets remembers or
// looks up.
func KnownNames(c core.PacketConn) int {
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
