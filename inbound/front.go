package inbound

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Front is what stands between a Server and its clients, such as a balancer, and
// says before the first bytes of each who that is.
type Front interface {
	// Trusts reports whether sender, IPv4 unmapped, is the front. The front must
	// say who its client is; whoever else connects is a failed handshake.
	Trusts(sender netip.Addr) bool
	// ReadClient reads what the front says from conn, whose deadline is set, and
	// not a byte more. It returns the zero AddrPort where that names no client:
	// the connection is the front's own, or its client has no address. If the
	// connection ends before its first byte it returns io.EOF.
	ReadClient(conn core.Stream) (netip.AddrPort, error)
	// Timeout returns how long the front may take.
	Timeout() time.Duration
}

// frontState is how a connection came.
type frontState uint8

const (
	noFront      frontState = iota
	throughFront            // and its client is, or will be, known
	pastFront               // although there is one
)

// readFront reads who the client is of a connection that came through the front.
// From then on it is its client's: the time of the handshake begins, and it counts as
// one of that source. readFront reports false after it has closed a connection whose
// header is missing or wrong: that is not its client's doing, so no gate is told.
func (h *handshake) readFront() bool {
	s := h.server
	var client netip.AddrPort
	err := panics.Call(func() (err error) {
		client, err = s.cfg.Front.ReadClient(h.conn)
		return err
	})
	if err != nil {
		h.client.Unattributed = true
		_ = h.pipeline.handler.Admit(h.client) // which no gate is asked about
		h.pipeline.handler.Observe(core.Event{
			Kind: core.HandshakeFailed, Client: h.client, Err: err,
			Stages: core.Stages{Accepted: h.accepted, Ended: time.Now()},
		})
		if !s.handshakes.evicted(h) {
			h.logHeader(err)
		}
		ending.Dismiss(h.conn)
		return false
	}
	client = netio.Unmap(client)
	source := client.Addr()
	if !client.IsValid() || client == h.client.Addr { // named as its own client: a check of the front's
		h.client.Unattributed, source = true, netip.Addr{}
	} else {
		h.client.Addr = client
	}
	s.handshakes.identify(h, source, func() {
		h.deadline = time.Now().Add(s.cfg.Timeout)
		_ = h.conn.SetDeadline(h.deadline)
	})
	return true
}

// logHeader writes the line of a header that is missing or wrong. A connection that
// came and went without a byte is a health check.
func (h *handshake) logHeader(err error) {
	log, sender := h.server.cfg.Env.Log, slog.Any("sender", h.client.Addr)
	if panics.Log(log, "handshake panicked", err, sender) {
		return
	}
	if errors.Is(err, io.EOF) {
		log.Debug("proxy header", sender, slog.Any("err", err))
		return
	}
	if more, ok := h.server.headers.allow(10, time.Second); ok {
		log.Warn("proxy header", sender, slog.Any("err", err), slog.Int("suppressed", more))
	}
}

// isSilence reports whether err says no more than that too few bytes came.
func isSilence(err error) bool {
	return errors.Is(err, core.ErrShort) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ECONNRESET)
}
