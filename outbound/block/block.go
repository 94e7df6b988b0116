// Package block is the outbound that refuses every request.
package block

import (
	"context"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Options are the keys of an [outbound.x] table of kind "block".
type Options struct {
	_ core.About `help:"refuses every request"`
}

// Outbound refuses every request.
type Outbound struct{}

var (
	_ core.Outbound = Outbound{}
	_ core.Dialer   = Outbound{}
	_ core.Finder   = Outbound{}
)

// New returns the outbound.
func New(core.Env, Options) (core.Outbound, error) { return Outbound{}, nil }

// Over returns the outbound itself: the outbound dials nothing.
func (o Outbound) Over(core.Dialer) (core.Dialer, error) { return o, nil }

// DialStream returns core.ErrDenied.
func (Outbound) DialStream(_ context.Context, r *core.Request) (core.Stream, error) {
	return nil, fmt.Errorf("%w: %s is blocked", core.ErrDenied, r.Target)
}

// Find returns core.ErrDenied.
func (Outbound) Find(_ context.Context, r *core.Request) (core.Answer, error) {
	return core.Answer{}, fmt.Errorf("%w: %s is blocked", core.ErrDenied, r.Target)
}

// OpenPackets returns core.ErrDenied.
func (Outbound) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return nil, fmt.Errorf("%w: UDP is blocked", core.ErrDenied)
}

// CheckPackets returns nil: an inbound with UDP may use the outbound, which refuses
// each association.
func (Outbound) CheckPackets() error { return nil }

// PayloadWait returns 0.
func (Outbound) PayloadWait(*core.Request) time.Duration { return 0 }
