package inbound

import (
	"context"
	"errors"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"
)

const (
	sourceLines = 10  // about failed handshakes of one source a second
	allLines    = 200 // of all sources together
)

// failed writes the line of a failed handshake, unless there are very many. A
// client that came and went without a byte, as a health check does, is no news,
// and neither is one that its kind lets end between messages.
func (s *Server) failed(v *visit, err error) {
	log, client := s.cfg.Env.Log, v.client
	if panics.Log(log, "handshake panicked", err, slog.Any("client", client.Addr)) {
		return
	}
	bytes, known := netio.Received(v.conn)
	if errors.Is(err, io.EOF) || known && bytes == 0 || v.way == unattributed && isSilence(err) {
		log.Debug("handshake failed", slog.Any("client", client.Addr), slog.Any("err", err))
		return
	}
	suppressed, ok := s.failures.allow(core.SourceOf(client.Addr.Addr()), sourceLines, allLines, time.Second)
	if !ok {
		return
	}
	attrs := make([]slog.Attr, 0, 6)
	attrs = append(attrs, slog.Any("client", core.Suspect{AddrPort: client.Addr}), slog.String("reason", reasonOf(err)))
	if core.IsAuthenticated(err) {
		attrs = append(attrs, slog.Bool("authenticated", true))
	}
	if known {
		attrs = append(attrs, slog.Uint64("bytes", bytes))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	log.LogAttrs(context.Background(), slog.LevelWarn, "handshake failed", append(attrs, slog.Any("err", err))...)
}

// reasonOf returns in one word why a handshake failed.
func reasonOf(err error) string {
	for _, f := range []struct {
		word string
		errs []error
	}{
		{"replay", []error{core.ErrReplay}},
		{"identity", []error{core.ErrIdentity}},
		{"auth", []error{core.ErrAuth}},
		{"clock", []error{core.ErrClock}},
		{"untrusted", []error{core.ErrUntrusted}},
		{"denied", []error{core.ErrDenied}},
		{"crowded", []error{core.ErrCrowded}},
		{"malformed", []error{core.ErrMalformed}},
		{"short", []error{core.ErrShort, io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, syscall.ECONNRESET}},
	} {
		for _, is := range f.errs {
			if errors.Is(err, is) {
				return f.word
			}
		}
	}
	return "other"
}
