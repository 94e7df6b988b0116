// Package inbound implements what all inbounds share: listening, the transports under
// the protocol, and the bounds on handshakes and sessions. A kind of inbound is a
// Handshaker; New returns a core.Inbound for a Handshaker.
package inbound

import (
	"context"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys that every inbound has. A kind embeds them in its own options.
type Options struct {
	Listen           option.ListenList          `toml:"listen" required:"true" help:"address and port to accept clients on, or a list of them; \":port\" means every address, \"localhost:port\" and other names all addresses that they have"`
	FreeBind         bool                       `toml:"free_bind" default:"false" help:"listen on addresses that this machine does not have yet (IP_FREEBIND; Linux)"`
	Transport        []core.Ref[core.Transport] `toml:"transport" help:"what carries the wire, from the wire up; the same list as at the other end"`
	ProxyProtocol    *ProxyProtocol             `toml:"proxy_protocol" help:"for an inbound behind a balancer: the PROXY header names the client"`
	Mode             option.Mode                `toml:"mode" default:"both" help:"what is served"`
	HandshakeTimeout option.Duration            `toml:"handshake_timeout" help:"how long a client may take over its request"`
	MaxHandshakes    int                        `toml:"max_handshakes" default:"4096" min:"1" help:"how many clients may be in their handshake at once"`
	ClientHandshakes int                        `toml:"client_handshakes" default:"1024" min:"1" help:"how many of them one client address may have; IPv6: one /64"`
	MaxSessions      int                        `toml:"max_sessions" default:"4096" help:"how many UDP sessions there may be at once"`
	ClientSessions   int                        `toml:"client_sessions" default:"512" help:"how many of them one client address may have; IPv6: one /64"`

	Socket netio.SocketOptions `toml:"-"` // that a kind needs, beside free_bind; no key of the table
}

// sockets returns the options of the listening sockets.
func (o Options) sockets() netio.SocketOptions {
	o.Socket.FreeBind = o.FreeBind
	return o.Socket
}

// StreamOptions are the keys of every inbound that serves streams alone. A kind embeds them in
// its own options.
type StreamOptions struct {
	Listen           option.ListenList          `toml:"listen" required:"true" help:"address and port to accept clients on, or a list of them; \":port\" means every address, \"localhost:port\" and other names all addresses that they have"`
	FreeBind         bool                       `toml:"free_bind" default:"false" help:"listen on addresses that this machine does not have yet (IP_FREEBIND; Linux)"`
	Transport        []core.Ref[core.Transport] `toml:"transport" help:"what carries the wire, from the wire up; the same list as at the other end"`
	ProxyProtocol    *ProxyProtocol             `toml:"proxy_protocol" help:"for an inbound behind a balancer: the PROXY header names the client"`
	HandshakeTimeout option.Duration            `toml:"handshake_timeout" help:"how long a client may take over its request"`
	MaxHandshakes    int                        `toml:"max_handshakes" default:"4096" min:"1" help:"how many clients may be in their handshake at once"`
	ClientHandshakes int                        `toml:"client_handshakes" default:"1024" min:"1" help:"how many of them one client address may have; IPv6: one /64"`
}

// Options returns the options of an inbound with mode = "tcp".
func (o StreamOptions) Options() Options {
	return Options{
		Listen: o.Listen, FreeBind: o.FreeBind, Transport: o.Transport, ProxyProtocol: o.ProxyProtocol, Mode: option.Mode(core.TCP),
		HandshakeTimeout: o.HandshakeTimeout, MaxHandshakes: o.MaxHandshakes, ClientHandshakes: o.ClientHandshakes,
	}
}

// Describe implements core.Describer.
func (o StreamOptions) Describe() core.Description { return o.Options().Describe() }

// check validates the options. Its errors name the key to correct.
func (o Options) check() error {
	switch {
	case len(o.Listen) == 0:
		return core.BadOption("listen", "an empty list; write an address such as %q", "127.0.0.1:1080")
	case o.MaxHandshakes <= 0:
		return core.BadOption("max_handshakes", "%d is not positive", o.MaxHandshakes)
	case o.ClientHandshakes <= 0:
		return core.BadOption("client_handshakes", "%d is not positive", o.ClientHandshakes)
	case o.HandshakeTimeout <= 0:
		return core.BadOption("handshake_timeout", "%s is not positive", o.HandshakeTimeout)
	case o.Mode.Packets() && o.MaxSessions <= 0:
		return core.BadOption("max_sessions", "%d is not positive", o.MaxSessions)
	case o.Mode.Packets() && o.ClientSessions <= 0:
		return core.BadOption("client_sessions", "%d is not positive", o.ClientSessions)
	case o.Mode.Packets() && o.ProxyProtocol != nil:
		return core.BadOption("mode", "proxy_protocol names the clients of TCP alone; add mode = %q", core.TCP)
	case o.ProxyProtocol != nil:
		return o.ProxyProtocol.check()
	}
	return nil
}

// transports returns the transports, which must carry what mode says.
func (o Options) transports(env core.Env) ([]core.Transport, error) {
	ts, err := env.ServerTransports(o.Transport)
	if err != nil {
		return nil, err
	}
	const bypass = "the transport carries no %s, and %[1]s must not bypass the transport; add mode = %q"
	switch {
	case o.Mode.Streams() && !carries(ts, core.TCP):
		return nil, core.BadOption("mode", bypass, "TCP", core.UDP)
	case o.Mode.Packets() && !carries(ts, core.UDP):
		return nil, core.BadOption("mode", bypass, "UDP", core.TCP)
	}
	return ts, nil
}

// carries reports whether transports carry a network: only a program alone carries UDP.
func carries(ts []core.Transport, network core.Network) bool {
	c := core.CarrierOf(ts)
	if c != nil && (network == core.TCP || len(ts) == 1) {
		return c.Carries(network)
	}
	return network == core.TCP || len(ts) == 0
}

// Handshaker reads the requests of one protocol. If a Handshaker has a method
// Shutdown(context.Context), the inbound's Shutdown calls it; the method ends the
// connections that the Handshaker still holds.
type Handshaker interface {
	// Handshake reads the client's request from conn, whose deadline is set, and
	// passes the request to next. It sets Target and, if known, User and Payload of the
	// request; the caller sets the other fields. After an error conn is passed to Fail,
	// unless a request was passed on: then the connection belongs to the handler.
	//
	// The client of almost every protocol speaks first. Handshake is called when its first
	// bytes have arrived, when it has ended, or when it is late. A Handshaker that is a
	// core.RequestSizer says how many bytes these are. A Handshaker with a method AtOnce()
	// reads no request, and its Handshake is called at once.
	Handshake(ctx context.Context, conn core.Stream, c core.Client, next Requests) error

	// Fail ends a connection whose handshake failed with err, or whose client a policy
	// refused before the first read. It returns when conn can be closed, at the
	// deadline at the latest. The caller closes conn.
	Fail(conn core.Stream, deadline time.Time, err error)
}

// Requests receives the requests that a Handshaker reads from one connection.
type Requests interface {
	// Stream serves a request for a stream. It returns when both sides are open and
	// relayed in the background, or when the stream has ended.
	Stream(r *core.Request, p core.Pending)
	// Packets serves a request for an association. It returns at once.
	Packets(r *core.Request, p core.PendingPackets)
	// Again is for protocols with successive requests for streams on one connection.
	// The Handshaker calls it when Request.Ended has been called for the last request,
	// which must not have closed the connection. Again starts another handshake on the
	// connection, under a fresh deadline and within the bounds, and calls Admit of the
	// gates again. After an error of Again the Handshaker must return; the caller
	// closes the connection, or ends it in the way that a refusing gate selects.
	//
	// If the client ends between two requests, Handshake returns an io.EOF or an
	// ErrShort.
	Again() error
}
