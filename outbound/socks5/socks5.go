// Package socks5 is the outbound of a SOCKS5 client: RFC 1928 with CONNECT and UDP
// ASSOCIATE, and RFC 1929 for a user with a password.
package socks5

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/outbound"
)

// Options are the keys of an [outbound.x] table of kind "socks5".
type Options struct {
	_ core.About `help:"connects through a SOCKS5 server, such as Tor or another machine's proxy"`

	outbound.Options
	outbound.Login
	Isolate          Isolation       `toml:"isolate" oneof:"user,client,target" help:"log in by another invented name for each user, client address or target host, or each combination of several: Tor has other circuits for each"`
	Mode             option.Mode     `toml:"mode" default:"both" help:"what the server carries; \"tcp\" if it has no UDP ASSOCIATE, as Tor"`
	Pipelining       bool            `toml:"pipelining" default:"false" help:"send greeting, login and request at once, which saves one or two round trips; not all servers can take that"`
	AssociateTimeout option.Duration `toml:"associate_timeout" default:"10s" min:">0s" help:"how long the server may take over opening a UDP association"`
	AssociateQueue   int             `toml:"associate_queue" default:"65536" min:"0" help:"how many bytes of datagrams may wait meanwhile; further ones are dropped"`
}

// Outbound is one SOCKS5 server to go through.
type Outbound struct {
	way        outbound.Way
	login      *login // nil for none
	isolation  *isolation
	mode       option.Mode
	pipelining bool
	timeout    time.Duration // of opening an association
	queue      int           // bytes of waiting datagrams of one
	sources    socksaddr.Memo
}

var _ core.Outbound = (*Outbound)(nil)

// New returns the outbound.
func New(env core.Env, o Options) (core.Outbound, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	if o.Mode == option.Mode(core.UDP) && len(o.Transport) > 0 {
		return nil, core.BadOption("mode", "%q leaves nothing: a transport carries no UDP", o.Mode)
	}
	way, err := outbound.NewWay(env, o.Options)
	if err != nil {
		return nil, err
	}
	out := &Outbound{way: way, mode: o.Mode, pipelining: o.Pipelining, timeout: o.AssociateTimeout.Std(), queue: o.AssociateQueue}
	if out.login, err = newLogin(env, o); err != nil {
		return nil, err
	}
	if len(o.Isolate) > 0 {
		out.isolation = newIsolation(env, o.Isolate)
	}
	return out, nil
}

// Over returns the Dialer that reaches the server over wire.
func (o *Outbound) Over(wire core.Dialer) (core.Dialer, error) {
	_, first := wire.(dial.Net)
	over, err := o.way.Over(wire)
	if err != nil {
		return nil, err
	}
	return &hop{Outbound: o, wire: over, first: first}, nil
}

// hop is the Outbound at one position in a chain.
type hop struct {
	*Outbound
	wire  core.Dialer
	first bool // no other hop is before it
}

var _ core.Dialer = (*hop)(nil)

// DialStream asks the server for the target and returns the stream when the server has
// reached it. A name is sent as it is.
func (h *hop) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	if !h.mode.Streams() {
		return nil, fmt.Errorf("%w: mode = %q of the outbound carries no TCP", core.ErrDenied, h.mode)
	}
	s, _, err := h.ask(ctx, r, socksaddr.CmdConnect, outbound.Target(r))
	return s, err
}

// ask makes a request. It returns the stream and, for an association, the address in the
// reply.
func (h *hop) ask(ctx context.Context, r *core.Request, cmd byte, to core.Addr) (s core.Stream, bound core.Addr, err error) {
	c := h.client(r, cmd, to)
	s, err = h.way.Ask(ctx, h.wire, r, c.first(), func(conn io.ReadWriter) ([]byte, error) {
		bound, err = c.talk(conn)
		return nil, err
	})
	if err != nil {
		return nil, core.Addr{}, fmt.Errorf("socks5 server %s: %w", h.way.Server, err)
	}
	return s, bound, nil
}

// client returns the client's side of one request.
func (h *hop) client(r *core.Request, cmd byte, to core.Addr) *client {
	c := &client{cmd: cmd, target: to, login: h.login, pipelining: h.pipelining}
	switch {
	case h.isolation != nil:
		c.login = h.isolation.login(r, cmd)
		c.methods = []byte{socksaddr.MethodPassword} // a server that takes no login isolates nothing
	case h.login == nil:
		c.methods = []byte{socksaddr.MethodNone}
	case h.pipelining:
		c.methods = []byte{socksaddr.MethodPassword}
	default:
		c.methods = []byte{socksaddr.MethodNone, socksaddr.MethodPassword}
	}
	return c
}

// PayloadWait returns 0: the server's reply has the true result, and the payload follows it.
func (*hop) PayloadWait(*core.Request) time.Duration { return 0 }
