// Package tunnel is the inbound of a tunnel to one target, as that of ss-tunnel or ssh -L:
// it reads no request.
package tunnel

import (
	"context"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// defaultTimeout is the default of handshake_timeout.
const defaultTimeout = option.Duration(30 * time.Second)

// Options are the keys of an [inbound.x] table of kind "tunnel".
type Options struct {
	_ core.About `help:"takes every connection and UDP session to one target"`
	inbound.Options
	Target option.Server `toml:"target" required:"true" help:"host and port to which every client is taken; a name is looked up where the chain ends"`
}

// New returns the inbound. Its errors name the key to correct.
func New(env core.Env, o Options) (core.Inbound, error) {
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultTimeout
	}
	target := o.Target.Addr()
	if target.Port() == 0 {
		return nil, core.BadOption("target", "%s has no port to connect to", target)
	}
	streams, err := inbound.New(env, o.Options, handshaker{target})
	if err != nil || !o.Mode.Packets() {
		return streams, err
	}
	packets, err := inbound.NewPacketServer(env, o.Options, packets{&session{target: target}})
	if err != nil {
		return nil, err
	}
	if !o.Mode.Streams() {
		return packets, nil
	}
	return inbound.Both(streams, packets), nil
}

// handshaker is the Handshaker.
type handshaker struct{ target core.Addr }

var _ inbound.Handshaker = handshaker{}

// AtOnce says that Handshake does not wait for the client: the target may speak first, as
// servers of SSH and mail do.
func (handshaker) AtOnce() {}

// Handshake makes the request. It reads nothing.
func (h handshaker) Handshake(_ context.Context, conn core.Stream, _ core.Client, next inbound.Requests) error {
	next.Stream(&core.Request{Target: h.target}, inbound.Unanswered{Conn: conn})
	return nil
}

// Fail does nothing: a client that was refused is closed.
func (handshaker) Fail(core.Stream, time.Time, error) {}
