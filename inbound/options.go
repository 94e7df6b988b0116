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
	Listen           option.Listen              `toml:"listen" required:"true" help:"address and port to accept clients on; \":port\" means every address"`
	Transport        []core.Ref[core.Transport] `toml:"transport" help:"what carries the wire, from the wire up; the same list as at the other end"`
	ProxyProtocol    *ProxyProtocol             `toml:"proxy_protocol" help:"for an inbound behind a balancer: the client is whom its PROXY header names"`
	Mode             option.Mode                `toml:"mode" default:"both" help:"what is served"`
	HandshakeTimeout option.Duration            `toml:"handshake_timeout" help:"how long a client may take over its request"`
	MaxHandshakes    int                        `toml:"max_handshakes" default:"4096" min:"1" help:"how many clients may be in their handshake at once"`
	MaxSessions      int                        `toml:"max_sessions" default:"4096" help:"how many UDP sessions there may be at once"`
	ClientSessions   int                        `toml:"client_sessions" default:"512" help:"how many of them one client address may have; IPv6: one /64"`
}

// check returns what is wrong with the options. Its errors name the key to mend.
func (o Options) check() error {
	switch {
	case o.MaxHandshakes <= 0:
		return core.BadOption("max_handshakes", "%d is not positive", o.MaxHandshakes)
	case o.HandshakeTimeout <= 0:
		return core.BadOption("handshake_timeout", "%s is not positive", o.HandshakeTimeout)
	case o.Mode.Packets() && o.MaxSessions <= 0:
		return core.BadOption("max_sessions", "%d is not positive", o.MaxSessions)
	case o.Mode.Packets() && o.ClientSessions <= 0:
		return core.BadOption("client_sessions", "%d is not positive", o.ClientSessions)
	case o.Mode.Packets() && len(o.Transport) > 0:
		return core.BadOption("mode", "a transport carries no UDP, and UDP must not leave beside it; add mode = %q", core.TCP)
	case o.Mode.Packets() && o.ProxyProtocol != nil:
		return core.BadOption("mode", "proxy_protocol names the clients of TCP alone; add mode = %q", core.TCP)
	case o.ProxyProtocol != nil:
		return o.ProxyProtocol.check()
	}
	return nil
}

// A Handshaker understands the first bytes of one protocol. One with a method
// Shutdown(context.Context) is told to end what it still holds.
type Handshaker interface {
	// Handshake reads the client's request from conn, whose deadline is set, and
	// passes it on to next. It fills Target and, where known, User and Payload of the
	// request; the rest is filled for it. On an error conn goes to Fail, unless a
	// request was passed on: then the connection belongs to its handler.
	Handshake(ctx context.Context, conn core.Stream, c core.Client, next Requests) error

	// Fail ends a connection whose handshake failed with err, or whose client a
	// policy refused before anything was read. It returns when nothing more is
	// to be done with conn, at the deadline at the latest; the caller closes
	// conn then.
	Fail(conn core.Stream, deadline time.Time, err error)
}

// Requests takes the requests that a Handshaker reads from one connection.
type Requests interface {
	// Stream serves a request for a stream. It returns when both sides are open and
	// relayed in the background, or when the stream has ended.
	Stream(r *core.Request, p core.Pending)
	// Packets serves a request for an association. It returns at once.
	Packets(r *core.Request, p core.PendingPackets)
	// Again is for protocols with several requests on a connection, one after
	// another: when all bytes of one have gone, it makes the connection a handshake
	// anew, under a fresh deadline, and asks the gates again. On an error, such as
	// core.ErrShutdown, no more requests are taken and the Handshaker closes the
	// connection.
	Again() error
}
