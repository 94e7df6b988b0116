package inbound

import (
	"context"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// New returns the inbound that serves streams by the protocol of h under the options o,
// and associations, if h makes such requests. Its errors name the key to correct.
func New(env core.Env, o Options, h Handshaker) (core.Inbound, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	transports, err := o.transports(env)
	if err != nil {
		return nil, err
	}
	least := 0
	if s, ok := h.(core.RequestSizer); ok && len(transports) == 0 {
		least = s.LeastRequest()
	}
	_, atOnce := h.(interface{ AtOnce() })
	hider, hides := h.(interface{ descriptors() int })
	descriptors := 1
	if hides {
		descriptors = hider.descriptors()
	}
	return served{
		Server: NewServer(ServerConfig{
			Env:        env,
			Listen:     o.Listen,
			Sockets:    o.sockets(),
			Front:      newFront(o.ProxyProtocol),
			Transports: transports,
			Timeout:    o.HandshakeTimeout.Std(),
			Max:        o.MaxHandshakes,
			PerClient:  o.ClientHandshakes,
			Least:      least,
			AtOnce:     atOnce && len(transports) == 0, // a transport's client speaks first
			Hides:      hides, Descriptors: descriptors,
			Handshake: h.Handshake,
			Fail:      h.Fail,
		}),
		mode:       o.Mode,
		handshaker: h,
	}, nil
}

// served is a Server that is a core.PacketInbound.
type served struct {
	*Server
	mode       option.Mode
	handshaker Handshaker
}

// Shutdown stops accepting, waits for the handshakes in progress and for the connections
// that the Handshaker still ends, and drops both when ctx ends.
func (s served) Shutdown(ctx context.Context) error {
	err := s.Server.Shutdown(ctx)
	shutDown(ctx, s.handshaker)
	return err
}

// shutDown calls Shutdown of all Handshakers that have this method, concurrently, and
// waits for the calls.
func shutDown(ctx context.Context, all ...Handshaker) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, h := range all {
		if k, ok := h.(interface{ Shutdown(context.Context) }); ok {
			running.Go(func() { k.Shutdown(ctx) })
		}
	}
}

var _ core.PacketInbound = served{}

// ServesPackets reports whether the options ask for UDP: by mode, or by those of the
// Handshaker, which may make associations of streams.
func (s served) ServesPackets() bool {
	h, ok := s.handshaker.(interface{ ServesPackets() bool })
	return s.mode.Packets() || ok && h.ServesPackets()
}
