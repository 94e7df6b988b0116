package inbound

import (
	"context"
	"errors"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// Both returns an inbound that is two: one that serves streams, and one that
// serves datagrams at the same address.
func Both(streams core.Inbound, packets *PacketServer) core.Inbound {
	return both{streams, packets}
}

type both struct {
	streams core.Inbound
	packets *PacketServer
}

var _ core.PacketInbound = both{}

func (b both) Listen(ctx context.Context) error {
	return errors.Join(b.streams.Listen(ctx), b.packets.Listen(ctx))
}

func (b both) Serve(ctx context.Context, h core.Handler) error {
	ended := make(chan error, 1)
	go func() { ended <- b.packets.Serve(ctx, h) }()
	return errors.Join(b.streams.Serve(ctx, h), <-ended)
}

func (b both) Shutdown(ctx context.Context) error {
	return errors.Join(b.streams.Shutdown(ctx), b.packets.Shutdown(ctx))
}

// ServesPackets returns true.
func (both) ServesPackets() bool { return true }

// Listening returns the address that is listened on, after Listen.
func (b both) Listening() netip.AddrPort { return b.packets.Listening() }
