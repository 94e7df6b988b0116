// Package ssh is the outbound of an SSH client: it reaches targets through an SSH server, by
// channels of type direct-tcpip (RFC 4254 §7.2).
package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound"
)

// Options are the keys of an [outbound.x] table of kind "ssh".
type Options struct {
	_ core.About `help:"connects through an SSH server, all streams by one connection, as ssh -D does"`

	outbound.Options
	Login
	KnownHosts     string          `toml:"known_hosts" help:"a file with the keys of servers, such as the known_hosts of your ssh; read anew for each connection"`
	HostKey        HostKeys        `toml:"host_key" help:"in place of known_hosts: fingerprints (\"SHA256:…\") or public keys, one of which the server must have"`
	Connections    int             `toml:"connections" default:"1" min:"1" max:"64" help:"how many connections to use side by side; each is one flow of TCP, and one process of OpenSSH's server"`
	KeepAlive      option.Timeout  `toml:"keep_alive" default:"15s" min:"1s" help:"how long the server may be silent until it is asked for a sign of life; without one it is given up within five times this; or off"`
	IdleTimeout    option.Timeout  `toml:"idle_timeout" default:"5m" min:"1s" help:"how long a connection without a stream is kept; or off"`
	ConnectTimeout option.Duration `toml:"connect_timeout" default:"15s" min:">0s" help:"how long connecting and logging in may take"`
	RetryWait      option.Duration `toml:"retry_wait" default:"1s" help:"how long requests fail at once after a failed connection; thirty times this after a refused login or host key"`
}

// Outbound is one SSH server to go through.
type Outbound struct {
	way         outbound.Way
	user        string
	login       *identity
	hostKeys    *hostKeys
	connections int
	keepAlive   time.Duration // 0 for none
	idle        time.Duration // 0 for ever
	connectTime time.Duration
	retryWait   time.Duration
	log         *slog.Logger
	nextID      func() uint64

	mu    sync.Mutex
	pools []*pool // one for each wire; guarded by mu
}

var (
	_ core.Outbound   = (*Outbound)(nil)
	_ core.Shutdowner = (*Outbound)(nil)
	_ core.Retirer    = (*Outbound)(nil)
)

// New returns the outbound.
func New(env core.Env, o Options) (core.Outbound, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	way, err := outbound.NewWay(env, o.Options)
	if err != nil {
		return nil, err
	}
	out := &Outbound{
		way: way, user: o.User, connections: o.Connections, keepAlive: orNone(o.KeepAlive), idle: orNone(o.IdleTimeout),
		connectTime: o.ConnectTimeout.Std(), retryWait: o.RetryWait.Std(), log: env.Log, nextID: env.Process.NextID,
	}
	if out.login, err = newIdentity(env.Log, o.Login); err != nil {
		return nil, err
	}
	if out.hostKeys, err = newHostKeys(o); err != nil {
		return nil, err
	}
	return out, nil
}

// orNone returns 0 for "off".
func orNone(t option.Timeout) time.Duration {
	if t == option.Off {
		return 0
	}
	return t.Std()
}

// Over returns the Dialer that reaches the server over wire. It has connections of its own.
func (o *Outbound) Over(wire core.Dialer) (core.Dialer, error) {
	over, err := o.way.Over(wire)
	if err != nil {
		return nil, err
	}
	p := newPool(o, over)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pools = append(o.pools, p)
	return &hop{p}, nil
}

// Retire has each connection end with its last stream.
func (o *Outbound) Retire() {
	for _, p := range o.all() {
		p.retire()
	}
}

// Shutdown ends all connections.
func (o *Outbound) Shutdown(ctx context.Context) error {
	var ending sync.WaitGroup
	for _, p := range o.all() {
		ending.Go(func() { p.shutdown(ctx) })
	}
	ending.Wait()
	return nil
}

func (o *Outbound) all() []*pool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pools
}

// hop is the Outbound at one position in a chain.
type hop struct{ pool *pool }

var _ core.Dialer = (*hop)(nil)

// DialStream asks the server for the target and returns the stream when the server has reached
// it. A name is sent as it is.
func (h *hop) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	s, err := h.open(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("ssh server %s: %w", h.pool.way.Server, err)
	}
	if err := dial.WriteFirst(ctx, s, r.Payload); err != nil {
		s.Abort()
		return nil, fmt.Errorf("ssh server %s: %w", h.pool.way.Server, err)
	}
	return s, nil
}

// open opens a channel. A connection that was lost unnoticed is replaced once.
func (h *hop) open(ctx context.Context, r *core.Request) (*stream, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for again := true; ; again = false {
		s, err := h.pool.acquire(ctx, r)
		if err != nil {
			return nil, core.Unsent(core.AtServer(err))
		}
		st, err := s.open(ctx, outbound.Target(r))
		if err == nil || !again || !errors.Is(err, errLost) {
			return st, err
		}
	}
}

// OpenPackets returns core.ErrNoPackets.
func (h *hop) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return nil, h.CheckPackets()
}

// CheckPackets returns core.ErrNoPackets: SSH forwards streams.
func (*hop) CheckPackets() error { return fmt.Errorf("%w through an SSH server", core.ErrNoPackets) }

// PayloadWait returns 0: the server's answer has the true result, and the payload follows it.
func (*hop) PayloadWait(*core.Request) time.Duration { return 0 }
