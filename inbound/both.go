package inbound

import (
	"context"
	"errors"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// Both returns an inbound that combines streams, which serves streams, with packets,
// which serves datagrams at the same addresses.
func Both(streams core.Inbound, packets Listening) core.Inbound {
	return both{streams, packets}
}

// Listening is an inbound that says where it listens.
type Listening interface {
	core.Inbound
	// Listening returns the listening addresses. It may be called after Listen.
	Listening() []netip.AddrPort
}

type both struct {
	streams core.Inbound
	packets Listening
}

var _ core.PacketInbound = both{}

func (b both) Listen(ctx context.Context) error {
	return errors.Join(b.streams.Listen(ctx), b.packets.Listen(ctx))
}

// Serve returns when both inbounds have ended, or as soon as one inbound has failed. In
// the second case the other inbound continues to serve until Shutdown.
func (b both) Serve(ctx context.Context, h core.Handler) error {
	ended := make(chan error, 2)
	go func() { ended <- b.packets.Serve(ctx, h) }()
	go func() { ended <- b.streams.Serve(ctx, h) }()
	for range 2 {
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

func (b both) Shutdown(ctx context.Context) error {
	return errors.Join(b.streams.Shutdown(ctx), b.packets.Shutdown(ctx))
}

// ServesPackets returns true.
func (both) ServesPackets() bool { return true }

// Listening returns the addresses on which both inbounds listen. It may be called after
// Listen.
func (b both) Listening() []netip.AddrPort { return b.packets.Listening() }

var _ core.Measurer = both{}

// Measure implements core.Measurer, for the inbounds that do.
func (b both) Measure(yield func(core.Figure)) {
	for _, in := range []core.Inbound{b.streams, b.packets} {
		if m, ok := in.(core.Measurer); ok {
			m.Measure(yield)
		}
	}
}
