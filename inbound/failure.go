package inbound

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

const (
	sourceLines = 10  // log lines a second about failed handshakes of one source
	allLines    = 200 // log lines a second about failed handshakes of all sources
)

// log logs a failed handshake, within the limits of lines a second. A client that
// connects and closes without a byte, as a health check does, is logged at debug level,
// and so is a client that ends between two requests.
func (h *handshake) log(err error) {
	s, client := h.server, h.client
	log := s.cfg.Env.Log
	if panics.Log(log, "handshake panicked", err, slog.Any("client", client.Addr)) {
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, core.ErrIdle) || errors.Is(err, core.ErrNothing) || client.Unattributed && isSilence(err) {
		log.Debug("handshake failed", slog.Any("client", client.Addr), slog.Any("err", err))
		return
	}
	suppressed, ok := s.failures.allow(core.SourceOf(client.Addr.Addr()), sourceLines, allLines, time.Second)
	if !ok {
		return
	}
	bytes, known := netio.Received(h.conn)
	attrs := make([]slog.Attr, 0, 7)
	attrs = append(attrs, suspectOf(client, err), slog.String("reason", core.HandshakeReasonOf(err)))
	if core.IsAuthenticated(err) {
		attrs = append(attrs, slog.Bool("authenticated", true))
	}
	if known {
		attrs = append(attrs, slog.Uint64("bytes", bytes))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	attrs = append(attrs, slog.Any("err", err))
	if errors.Is(err, core.ErrProxyHeader) {
		attrs = append(attrs, slog.String("hint", "a balancer sends PROXY headers: add proxy_protocol to the inbound, with the balancer's address, or turn them off there"))
	}
	log.LogAttrs(context.Background(), slog.LevelWarn, "handshake failed", attrs...)
}

// sentNothing reports whether the client of a failed handshake has ended, or was silent,
// without a byte, as monitors and health checks do. Where the system does not tell how many
// bytes have arrived, an orderly end says it.
func (h *handshake) sentNothing(err error) bool {
	if bytes, known := netio.Received(h.conn); known {
		return bytes == 0 && isSilence(err)
	}
	return errors.Is(err, io.EOF)
}

// nothing is the error of a handshake whose client sent no byte.
type nothing struct{ error }

func (e *nothing) Unwrap() []error { return []error{core.ErrNothing, e.error} }

// suspectOf returns the client of a failed handshake as an attribute: as a suspect, which
// tools ban that read the log, unless it is a balancer, which stands for many clients.
func suspectOf(client core.Client, err error) slog.Attr {
	if errors.Is(err, core.ErrProxyHeader) {
		return slog.Any("client", client.Addr)
	}
	return slog.Any("client", core.Suspect{AddrPort: client.Addr})
}
