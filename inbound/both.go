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

// Serve returns when both halves have ended, or as soon as one has failed; the
// other serves on until Shutdown then.
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

// Listening returns the address that is listened on, after Listen.
func (b both) Listening() netip.AddrPort { return b.packets.Listening() }
