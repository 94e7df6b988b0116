// Package ss is the inbound of a Shadowsocks server.
package ss

import (
	"context"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// Options are the keys of an [inbound.x] table of kind "ss".
type Options struct {
	_ core.About `help:"a Shadowsocks server: takes requests under a cipher"`
	inbound.Options
	inbound.Rejection
	Cipher core.CipherRef `toml:"cipher" required:"true" help:"the [cipher.x] that clients use"`
}

// New returns the inbound. Where handshake_timeout is not given, the cipher's
// key fixes it.
func New(env core.Env, o Options) (core.Inbound, error) {
	c, err := env.Graph.Cipher(o.Cipher)
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
	streams, err := inbound.New(env, o.Options, server{rejecter, c})
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

// newPackets returns the half that serves UDP.
func newPackets(env core.Env, o Options, c core.Cipher) (*inbound.PacketServer, error) {
	pc, ok := c.(core.PacketCipher)
	if !ok {
		return nil, core.BadOption("mode", "the method %s protects no UDP; add mode = %q", c.Method(), "tcp")
	}
	opener, err := pc.NewPacketServer()
	if err != nil {
		return nil, err
	}
	return inbound.NewPacketServer(env, o.Options, opener)
}

// server is the Handshaker. The Rejecter ends all that make no request alike, so
// that a prober sees no difference.
type server struct {
	*inbound.Rejecter
	cipher core.Cipher
}

// Handshake reads a request. Nothing is written, whatever comes.
func (s server) Handshake(ctx context.Context, conn core.Stream, c core.Client) (*core.Request, core.Waiting, error) {
	var a core.Accepted
	err := s.Accept(ctx, conn, func(waits func([]byte)) (soFar []byte, err error) {
		a, err = s.cipher.AcceptStream(conn, core.Caller{Addr: c.Addr, Waits: waits})
		return a.Payload, err
	})
	if err != nil {
		return nil, nil, err
	}
	return &core.Request{Target: a.Target, User: a.User, Payload: a.Payload, Grant: a.Grant}, pending{a.Stream}, nil
}

// pending is a client that knows no reply: it has been sending already.
type pending struct{ stream core.Stream }

func (p pending) Accept() (core.Stream, error) { return p.stream, nil }

// Reject closes in order. The client has proved its key, so the end tells a
// prober nothing.
func (p pending) Reject(error) { core.Dismiss(p.stream) }
