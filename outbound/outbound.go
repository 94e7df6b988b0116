// Package outbound has what outbounds share that reach targets through a server.
package outbound

import (
	"context"
	"io"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys that all kinds share whose server is asked for each target. Embed
// them in the options of a kind.
type Options struct {
	Server    option.Server              `toml:"server" required:"true" help:"host and port of the server"`
	Transport []core.Ref[core.Transport] `toml:"transport" help:"transports over the wire, the lowest first; the same list as at the server"`
	Resolver  core.Ref[core.Resolver]    `toml:"resolver" help:"the [resolver.x] for the server's name; else the operating system's, or the previous hop's"`
}

var _ core.Describer = Options{}

// Describe implements core.Describer. It says nothing of networks.
func (o Options) Describe() core.Description {
	return core.Description{
		Servers: []core.Server{{
			Key: "server", Role: core.RoleHop, Addr: o.Server.Addr(), Resolver: core.Named{Key: "resolver", To: o.Resolver},
		}},
		Targets: core.Targets{Names: core.NamesSent},
		Wire:    core.NamedList("transport", o.Transport),
	}
}

// Way is the way to a server.
type Way struct {
	Server     core.Addr
	transports []core.Transport
	resolver   core.Resolver // for the server's name; may be nil
	asks       string        // names it
}

// NewWay returns the way that o describes.
func NewWay(env core.Env, o Options) (Way, error) {
	w := Way{Server: o.Server.Addr(), asks: "resolver." + string(o.Resolver)}
	var err error
	if w.transports, err = env.ClientTransports(o.Transport); err != nil {
		return Way{}, err
	}
	if o.Resolver != "" {
		w.resolver, err = o.Resolver.Get(env)
	}
	return w, err
}

// Over returns the Dialer for connections to the server over wire.
func (w Way) Over(wire core.Dialer) (core.Dialer, error) {
	return dial.ToServer(wire, w.Server, w.asks, w.resolver, w.transports)
}

// A Dialogue asks the server for a target: it reads the answers to the first message, which
// was sent with the dial, and writes further messages. It returns the bytes that it read
// beyond the last answer: they are the target's. The errors of conn say what happened, and
// the Dialogue says at which step.
type Dialogue func(conn io.ReadWriter) (beyond []byte, err error)

// Ask dials the server over wire for the request r, with first as the first message, has d
// ask for the target, and sends r's payload. It ends with ctx.
//
// The marks of core.AtTarget in an error are those of d: what the wire says of its target is
// about the server. core.Sent marks the failure of the payload alone.
func (w Way) Ask(ctx context.Context, wire core.Dialer, r *core.Request, first []byte, d Dialogue) (core.Stream, error) {
	next := *r
	next.Target, next.IPs, next.Payload = w.Server, nil, first
	s, err := wire.DialStream(ctx, &next)
	if err != nil {
		return nil, core.Unsent(core.AtServer(err))
	}
	beyond, err := talk(ctx, s, d)
	if err == nil {
		err = dial.WriteFirst(ctx, s, r.Payload)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return netio.Unread(s, beyond), nil
}

// Target returns the target to ask a server for: one of the addresses that a resolver found,
// or the client's target.
func Target(r *core.Request) core.Addr {
	if len(r.IPs) == 0 {
		return r.Target
	}
	return core.NewIPAddr(dial.OneOf(r.IPs), r.Target.Port())
}
