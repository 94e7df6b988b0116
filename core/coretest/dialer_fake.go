package coretest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Dialer is a core.Dialer that records its requests. A test sets the fields before the
// first call. NewDialer returns one.
type Dialer struct {
	// Stream answers DialStream. If it is nil, each call returns one end of a
	// fresh Pipe into which the payload was written; Accept returns the other.
	Stream func(ctx context.Context, r *core.Request) (core.Stream, error)
	// Packets answers OpenPackets; nil means core.ErrNoPackets.
	Packets func(ctx context.Context, r *core.Request) (core.PacketConn, error)
	// Wait is the result of PayloadWait.
	Wait time.Duration

	far      chan core.Stream
	mu       sync.Mutex
	requests []core.Request // guarded by mu
}

var _ core.Dialer = (*Dialer)(nil)

// NewDialer returns a Dialer that returns Pipes. At most 64 streams are queued for
// Accept; a further DialStream waits.
func NewDialer() *Dialer { return &Dialer{far: make(chan core.Stream, 64)} }

// DialStream records r and returns the result of Stream.
func (d *Dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	d.record(r)
	if d.Stream != nil {
		return d.Stream(ctx, r)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	near, far := Pipe()
	if _, err := near.Write(r.Payload); err != nil {
		return nil, err
	}
	select {
	case d.far <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// OpenPackets records r and returns the result of Packets.
func (d *Dialer) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	d.record(r)
	if d.Packets != nil {
		return d.Packets(ctx, r)
	}
	return nil, core.ErrNoPackets
}

// CheckPackets returns core.ErrNoPackets if Packets is nil.
func (d *Dialer) CheckPackets() error {
	if d.Packets == nil {
		return core.ErrNoPackets
	}
	return nil
}

// PayloadWait returns Wait.
func (d *Dialer) PayloadWait(*core.Request) time.Duration { return d.Wait }

// Accept waits for the next dialled stream and returns its far end.
func (d *Dialer) Accept(t testing.TB) core.Stream {
	t.Helper()
	return Await(t, "a dial", d.far)
}

// Requests returns copies of the requests so far, as they were at the call.
func (d *Dialer) Requests() []core.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.requests)
}

func (d *Dialer) record(r *core.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = append(d.requests, snapshot(r))
}

// snapshot returns a copy of r that shares only the flow.
func snapshot(r *core.Request) core.Request {
	c := *r
	c.IPs, c.Payload = slices.Clone(r.IPs), slices.Clone(r.Payload)
	return c
}
