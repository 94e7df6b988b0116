// Package ss is the inbound of a Shadowsocks server.
package ss

import (
	"context"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// Options are the keys of an [inbound.x] table of kind "ss".
type Options struct {
	_ core.About `help:"a Shadowsocks server: takes requests under a cipher"`
	inbound.Options
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
		o.HandshakeTimeout = option.Duration(core.Patience(c))
	}
	streams, err := inbound.New(env, o.Options, server{cipher: c})
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

// server is the Handshaker.
type server struct{ cipher core.Cipher }

// Handshake reads a request. Nothing is written, whatever comes.
func (s server) Handshake(_ context.Context, conn core.Stream, c core.Client) (*core.Request, core.Waiting, error) {
	a, err := s.cipher.AcceptStream(conn, c.Addr)
	if err != nil {
		return nil, nil, err
	}
	return &core.Request{Target: a.Target, User: a.User, Payload: a.Payload, Grant: a.Grant}, pending{a.Stream}, nil
}

// Fail answers every failure alike: it sends nothing, reads on and ends at the
// deadline, so that a prober sees no difference.
func (server) Fail(conn core.Stream, _ time.Time, _ error) { core.Drain(conn) }

// pending is a client that knows no reply: it has been sending already.
type pending struct{ stream core.Stream }

func (p pending) Accept() (core.Stream, error) { return p.stream, nil }

// Reject closes in order. The client has proved its key, so the end tells a
// prober nothing.
func (p pending) Reject(error) { core.Dismiss(p.stream) }
