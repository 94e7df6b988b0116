// Package ss is the inbound of a Shadowsocks server.
package ss

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/overstream"
	"github.com/umbra-proxy/umbra/inbound"
)

// Options are the keys of an [inbound.x] table of kind "ss".
type Options struct {
	_ core.About `help:"a Shadowsocks server: takes requests under a cipher"`
	inbound.Options
	inbound.Rejection
	Cipher        core.Ref[core.Cipher] `toml:"cipher" required:"true" help:"the [cipher.x] that clients use"`
	UDPOverStream bool                  `toml:"udp_over_stream" help:"serve UDP that clients send in streams too (udp = \"stream\" of outbound.ss, UDP over TCP of sing-box and Clash); with any mode that serves streams"`
	StreamQueue   int                   `toml:"stream_queue" min:"65536" help:"with udp_over_stream: how many bytes of answers of an association wait for its stream, 262144 if left out; further ones are dropped"`
}

// New returns the inbound. If handshake_timeout is not given, it is derived from the
// cipher's key.
func New(env core.Env, o Options) (core.Inbound, error) {
	c, err := o.Cipher.Get(env)
	if err != nil {
		return nil, err
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = option.Duration(o.Patience(c))
	}
	rejecter, err := inbound.NewRejecter(env, o.Rejection)
	if err != nil {
		return nil, err
	}
	h := server{Rejecter: rejecter, cipher: c, timeout: o.HandshakeTimeout.Std()}
	if o.UDPOverStream {
		if !o.Mode.Streams() {
			return nil, core.BadOption("udp_over_stream", "mode = %q serves no streams", o.Mode)
		}
		h.quota, h.queue = inbound.KeepQuota(env, o.Options), cmp.Or(o.StreamQueue, overstream.Queue)
	}
	streams, err := inbound.New(env, o.Options, h)
	if err != nil || !o.Mode.Packets() {
		return streams, err
	}
	packets, err := newPackets(env, o, c)
	if err != nil {
		return nil, err
	}
	if !o.Mode.Streams() {
		return packets, nil
	}
	return inbound.Both(streams, packets), nil
}

// newPackets returns the inbound for UDP.
func newPackets(env core.Env, o Options, c core.Cipher) (*inbound.PacketServer, error) {
	pc, ok := c.(core.PacketCipher)
	if !ok {
		return nil, core.BadOption("mode", "the method %s protects no UDP; add mode = %q", c.Method(), core.TCP)
	}
	opener, err := pc.NewPacketServer()
	if err != nil {
		return nil, err
	}
	return inbound.NewPacketServer(env, o.Options, opener)
}

// server is the Handshaker. The Rejecter ends all connections without a valid request
// alike, so that a prober sees no difference.
type server struct {
	*inbound.Rejecter
	cipher  core.Cipher
	timeout time.Duration // of a handshake

	quota *inbound.Quota // of associations over streams; nil if they are not served
	queue int            // of their answers, in bytes
}

// LeastRequest returns how many bytes the cipher needs. It implements core.RequestSizer.
func (s server) LeastRequest() int { return s.LeastOf(s.cipher) }

// Handshake reads a request. It never writes to conn.
func (s server) Handshake(ctx context.Context, conn core.Stream, c core.Client, next inbound.Requests) error {
	deadline := time.Now().Add(s.timeout)
	var a core.Accepted
	err := s.Accept(ctx, conn, func(waits func([]byte)) (soFar []byte, err error) {
		a, err = s.cipher.AcceptStream(conn, core.Caller{Addr: c.Addr, Waits: waits, Until: deadline, Ended: ctx.Done()})
		return a.Payload, err
	})
	if err != nil {
		return err
	}
	if s.quota != nil && overstream.Version(a.Target) != 0 {
		return s.packets(conn, c, a, pending{a, conn, s.Rejecter, deadline, ctx.Done()}, next)
	}
	r := &core.Request{Target: a.Target, User: a.User, Payload: a.Payload, Grant: a.Grant, Once: a.Once, Unproven: a.Unproven}
	next.Stream(r, pending{a, conn, s.Rejecter, deadline, ctx.Done()})
	return nil
}

// pending is a client that waits for the target. The protocol has no reply: the client
// may send payload at once.
type pending struct {
	core.Accepted
	conn     core.Stream
	rejecter *inbound.Rejecter
	deadline time.Time
	ended    <-chan struct{} // closed when the inbound can't wait for clients any more
}

// Accept returns the stream.
func (p pending) Accept() (core.Stream, error) { return p.Stream, nil }

// Reject closes the connection with a FIN if the client has proved the key: that end
// reveals nothing to a prober, and an upload does not make it a reset. Where the method
// can, it marks the answer as incomplete, so that the client does not take it for the
// empty answer of its target. An unproven client, and a client whose request turned out to
// be a replay, is treated as a client with an invalid request.
func (p pending) Reject(cause error) {
	if p.Unproven || errors.Is(cause, core.ErrReplay) {
		if s, ok := p.Stream.(interface{ Discard() }); ok { // drops bytes that were read and not delivered
			s.Discard()
		}
		p.rejecter.FailLater(p.conn, p.deadline)
		return
	}
	if i, ok := p.Stream.(core.Interrupter); ok {
		_ = i.Interrupt() // the client may have gone
	}
	ending.Finish(p.Stream, p.ended)
}
