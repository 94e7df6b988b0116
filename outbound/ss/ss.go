// Package ss is the outbound of a Shadowsocks client: it reaches targets
// through a Shadowsocks server, directly or through earlier hops.
package ss

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/overstream"
	"github.com/umbra-proxy/umbra/outbound"
)

// Options are the keys of an [outbound.x] table of kind "ss".
type Options struct {
	_                core.About                 `help:"connects through a Shadowsocks server"`
	Server           option.Server              `toml:"server" required:"true" help:"host and port of the server"`
	Cipher           core.Ref[core.Cipher]      `toml:"cipher" required:"true" help:"the [cipher.x] that the server uses"`
	Transport        []core.Ref[core.Transport] `toml:"transport" help:"transports over the wire, the lowest first; the same list as at the server"`
	Resolver         core.Ref[core.Resolver]    `toml:"resolver" help:"the [resolver.x] for the server's name; else the operating system's, or the previous hop's"`
	FirstPayloadWait option.Duration            `toml:"first_payload_wait" default:"50ms" help:"how long to wait for the client's first bytes, so that they leave with the header; never for ports whose servers speak first"`
	UDP              string                     `toml:"udp" oneof:"datagrams,stream" help:"how UDP travels: as datagrams, which is the default, or each association in a stream of its own, for networks that drop UDP; the server must take that (udp_over_stream)"`
	StreamQueue      int                        `toml:"stream_queue" min:"65536" help:"with udp = \"stream\": how many bytes of datagrams of an association wait for its stream, 262144 if left out; further ones are dropped"`
	StreamTimeout    option.Duration            `toml:"stream_timeout" min:">0s" help:"with udp = \"stream\": how long the stream of an association may take to open, 10s if left out"`
}

// Outbound is one Shadowsocks server to go through.
type Outbound struct {
	server     core.Addr
	cipher     core.Cipher
	transports []core.Transport
	resolver   core.Resolver // for the server's name; may be nil
	asks       string        // names it
	wait       time.Duration
	overStream bool // UDP travels in streams
	stream     overstream.Options
}

var _ core.Outbound = (*Outbound)(nil)

// New returns the outbound.
func New(env core.Env, o Options) (core.Outbound, error) {
	c, err := o.Cipher.Get(env)
	if err != nil {
		return nil, err
	}
	transports, err := env.ClientTransports(o.Transport)
	if err != nil {
		return nil, err
	}
	out := &Outbound{
		overStream: o.UDP == "stream",
		stream:     overstream.Options{Queue: cmp.Or(o.StreamQueue, overstream.Queue), Timeout: cmp.Or(o.StreamTimeout.Std(), 10*time.Second)},
		server:     o.Server.Addr(), cipher: c, transports: transports, wait: o.FirstPayloadWait.Std(),
	}
	if o.Resolver == "" {
		return out, nil
	}
	out.asks = "resolver." + string(o.Resolver)
	if out.resolver, err = o.Resolver.Get(env); err != nil {
		return nil, err
	}
	return out, nil
}

// Over returns the Dialer that reaches the server over wire.
func (o *Outbound) Over(wire core.Dialer) (core.Dialer, error) {
	wire, err := dial.ToServer(wire, o.server, o.asks, o.resolver, o.transports)
	if err != nil {
		return nil, err
	}
	return &hop{Outbound: o, wire: wire}, nil
}

// hop is the Outbound at one position in a chain.
type hop struct {
	*Outbound
	wire core.Dialer
}

var _ core.Dialer = (*hop)(nil)

// DialStream sends the request to the server. The header, the payload and, over
// earlier hops, their headers too leave in one write.
func (h *hop) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	return h.cipher.DialStream(outbound.Target(r), r.Payload, func(hello []byte) (core.Stream, error) {
		next := *r
		next.Target, next.IPs, next.Payload = h.server, nil, hello
		wire, err := h.wire.DialStream(ctx, &next)
		if err != nil {
			return nil, core.AtServer(err)
		}
		return wire, nil
	})
}

// PayloadWait returns first_payload_wait, but 0 for ports whose servers speak first:
// their clients send nothing before that.
func (h *hop) PayloadWait(r *core.Request) time.Duration {
	if slices.Contains(serverFirst[:], r.Target.Port()) {
		return 0
	}
	return h.wait
}

// serverFirst are the ports whose servers speak first: FTP, SSH, telnet, SMTP, POP3,
// NNTP, IMAP, submission, MySQL, VNC. IMAPS and POP3S are missing because their servers
// speak first only inside TLS.
var serverFirst = [...]uint16{21, 22, 23, 25, 110, 119, 143, 587, 3306, 5900}
