package inbound

import (
	"github.com/umbra-proxy/umbra/core"
)

// New returns the inbound that serves the protocol of h as o says. Its errors
// name the key to mend.
func New(env core.Env, o Options, h Handshaker) (core.Inbound, error) {
	if o.MaxHandshakes <= 0 {
		return nil, core.BadOption("max_handshakes", "%d is not positive", o.MaxHandshakes)
	}
	if o.HandshakeTimeout <= 0 {
		return nil, core.BadOption("handshake_timeout", "%s is not positive", o.HandshakeTimeout)
	}
	transports, err := env.ServerTransports(o.Transport)
	if err != nil {
		return nil, err
	}
	return core.NewServer(core.ServerConfig{
		Env:        env,
		Listen:     o.Listen.AddrPort(),
		Transports: transports,
		Timeout:    o.HandshakeTimeout.Std(),
		Max:        o.MaxHandshakes,
		Handshake:  h.Handshake,
		Fail:       h.Fail,
	}), nil
}
