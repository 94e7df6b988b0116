// Package inbound has what all inbounds share: where to listen, the transports
// under the protocol, and the bounds on handshakes. A kind of inbound is a
// Handshaker; New makes a core.Inbound of it.
package inbound

import (
	"context"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys that every inbound has. Embed them in the kind's own
// options.
type Options struct {
	Listen           option.Listen       `toml:"listen" required:"true" help:"address and port to accept clients on; \":port\" means every address"`
	Transport        []core.TransportRef `toml:"transport" help:"what carries the wire, from the wire up; the same list as at the other end"`
	HandshakeTimeout option.Duration     `toml:"handshake_timeout" help:"how long a client may take over its request"`
	MaxHandshakes    int                 `toml:"max_handshakes" default:"4096" help:"how many clients may be in their handshake at once"`
}

// A Handshaker understands the first bytes of one protocol.
type Handshaker interface {
	// Handshake reads the client's request from conn, whose deadline is set.
	// It fills Target and, where known, User and Payload of the request; the
	// rest is filled for it. On an error conn goes to Fail.
	Handshake(ctx context.Context, conn core.Stream, c core.Client) (*core.Request, core.Pending, error)

	// Fail ends a connection whose handshake failed with err, or whose client a
	// policy refused before anything was read. It returns when nothing more is
	// to be done with conn, at the deadline at the latest; the caller closes
	// conn then.
	Fail(conn core.Stream, deadline time.Time, err error)
}
