package sip003

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	// startTimeout is how long a plugin that was started may take until it listens.
	startTimeout = 10 * time.Second
	// retryAfter is how long a plugin that does not listen yet is left alone.
	retryAfter = 20 * time.Millisecond
)

// carried is the Dialer of one server behind a plugin.
type carried struct {
	net       core.Dialer
	transport *Transport
	use       use
}

var _ core.Dialer = (*carried)(nil)

// DialStream connects to the plugin. While the plugin is starting it waits.
func (d *carried) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	if !d.transport.Carries(core.TCP) {
		return nil, errNoStreams
	}
	for {
		c, s, err := d.running(ctx)
		if err != nil {
			return nil, err
		}
		next := *r
		next.Target, next.IPs = core.AddrFrom(s.at), nil
		stream, err := d.net.DialStream(ctx, &next)
		if err == nil {
			c.prove(s.at)
			return stream, nil
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || s.proven || time.Since(s.since) > startTimeout {
			return nil, err
		}
		select { // it does not listen yet
		case <-time.After(retryAfter):
		case <-s.changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// OpenPackets sends to the plugin.
func (d *carried) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	if err := d.CheckPackets(); err != nil {
		return nil, err
	}
	_, s, err := d.running(ctx)
	if err != nil {
		return nil, err
	}
	next := *r
	next.Target, next.IPs = core.AddrFrom(s.at), nil
	return d.net.OpenPackets(ctx, &next)
}

// running returns the plugin and its state once it runs. It waits if the plugin is being
// started, or will be in a moment.
func (d *carried) running(ctx context.Context) (*child, state, error) {
	for {
		c := d.transport.children.find(d.use)
		if c == nil {
			return nil, state{}, &notRunning{filepath.Base(d.use.path), errors.New("nothing runs that uses it")}
		}
		s := c.now()
		if s.at.IsValid() {
			return c, s, nil
		}
		if !s.soon {
			return nil, state{}, &notRunning{filepath.Base(d.use.path), s.why}
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return nil, state{}, context.Cause(ctx)
		}
	}
}

var (
	errStarting  = errors.New("it is being started")
	errNoStreams = errors.New("the plugin carries UDP alone, as mode says")
)

// CheckPackets implements core.Dialer.
func (d *carried) CheckPackets() error {
	if !d.transport.Carries(core.UDP) {
		return fmt.Errorf("%w over the plugin %s (mode = %q in its transport)", core.ErrNoPackets, filepath.Base(d.use.path), d.transport.mode)
	}
	return d.net.CheckPackets()
}

// PayloadWait implements core.Dialer.
func (d *carried) PayloadWait(r *core.Request) time.Duration { return d.net.PayloadWait(r) }
