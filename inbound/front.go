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

// Front is a balancer, or another proxy, between a Server and its clients. It sends the
// address of each client before the client's first bytes.
type Front interface {
	// Trusts reports whether sender, IPv4 unmapped, is the front. The front must send
	// the address of its client. The handshake of any other sender fails.
	Trusts(sender netip.Addr) bool
	// ReadClient reads the front's header from conn, whose deadline is set, and not a
	// byte more. It returns the zero AddrPort if the header names no client: the
	// connection is the front's own, or the client has no address. If the connection
	// ends before its first byte, ReadClient returns io.EOF.
	ReadClient(conn core.Stream) (netip.AddrPort, error)
	// Timeout returns how long the front may take to send its header.
	Timeout() time.Duration
}

// frontState is whether a connection came through the front.
type frontState uint8

const (
	noFront      frontState = iota // the server has no front
	throughFront                   // the sender is the front, whose header names the client
	pastFront                      // the server has a front, and the sender is another host
)

// readFront reads the client's address of a connection through the front. Then the
// handshake's timeout begins, and the connection counts for the client's source. If the
// header is missing or wrong, readFront closes the connection and returns false. That is
// not the client's fault, so gates are not notified.
func (h *handshake) readFront() bool {
	s := h.server
	var client netip.AddrPort
	err := panics.Call(func() (err error) {
		client, err = s.cfg.Front.ReadClient(h.conn)
		return err
	})
	if err != nil {
		h.client.Unattributed = true
		_ = h.pipeline.handler.Admit(h.client) // an unattributed client is not passed to gates
		h.observeFailure(err)
		if !s.strangers.Evicted(&h.stranger) {
			h.logHeader(err)
		}
		ending.Dismiss(h.conn)
		return false
	}
	client = netio.Unmap(client)
	source := client.Addr()
	if !client.IsValid() || client == h.client.Addr { // the front names itself: a health check of the front
		h.client.Unattributed, source = true, netip.Addr{}
	} else {
		h.client.Addr = client
	}
	s.strangers.Identify(&h.stranger, source, func() {
		h.deadline = time.Now().Add(s.cfg.Timeout)
		_ = h.conn.SetDeadline(h.deadline)
	})
	return true
}

// logHeader logs a missing or wrong header. A connection without a byte is a health
// check and is logged at debug level.
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

// isSilence reports whether the only failure in err is that too few bytes arrived.
func isSilence(err error) bool {
	return errors.Is(err, core.ErrShort) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ECONNRESET)
}
