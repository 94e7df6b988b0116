package inbound

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Server is what stream inbounds have in common: it accepts on one address and
// takes each connection through its handshake, under a deadline, within bounds
// and with its panics caught, and gives the request to the handler. It is an
// Inbound. handshake.go has what becomes of one connection.
type Server struct {
	cfg        ServerConfig
	handshakes *handshakes
	failures   throttles // of lines about failed handshakes
	accepts    throttle  // of lines about failed accepts
	headers    throttle  // of lines about headers of the front
	ln         *netio.Listener
	pipeline   atomic.Pointer[serving]
}

// ServerConfig is what makes a Server. All fields but Front and Transports are
// required.
type ServerConfig struct {
	Env        core.Env
	Listen     netip.AddrPort
	Front      Front            // nil where clients connect themselves
	Transports []core.Transport // from the wire up
	Timeout    time.Duration
	Max        int // handshakes in progress

	// Handshake reads a request; see Handshaker.
	Handshake func(ctx context.Context, conn core.Stream, c core.Client, next Requests) error
	// Fail ends a connection whose handshake failed; see Handshaker.
	Fail func(conn core.Stream, deadline time.Time, err error)
}

// serving is what Serve was called with.
type serving struct {
	ctx     context.Context
	handler core.Handler
}

var _ core.Inbound = (*Server)(nil)

// endPause is the time after which a handshake that was asked to make room, and is
// still there, is asked again.
const endPause = 50 * time.Millisecond

// NewServer returns a Server that has bound nothing yet.
func NewServer(cfg ServerConfig) *Server {
	return &Server{cfg: cfg, handshakes: newHandshakes(min(cfg.Max, netio.DescriptorShare()))}
}

// Listen binds the address.
func (s *Server) Listen(ctx context.Context) error {
	ln, err := netio.SocketsOf(s.cfg.Env.Process).Listen(ctx, s.cfg.Listen)
	if err != nil {
		return &core.OptionError{Key: "listen", Err: err}
	}
	s.ln = ln
	return nil
}

// Listening returns the address that is listened on, after Listen.
func (s *Server) Listening() netip.AddrPort { return s.ln.Addr() }

// Serve accepts connections until Shutdown.
func (s *Server) Serve(ctx context.Context, h core.Handler) error {
	s.pipeline.Store(&serving{ctx: ctx, handler: h})
	s.ln.Serve(s)
	return nil
}

// Shutdown stops accepting, waits for the handshakes in progress until ctx
// ends, and then drops them.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.ln == nil {
		return nil
	}
	s.ln.Close()
	s.handshakes.close()
	if s.handshakes.wait(ctx) == nil {
		return nil
	}
	for {
		s.handshakes.evictAll()
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPause)
		err := s.handshakes.wait(again)
		cancel()
		if err == nil {
			return nil
		}
	}
}

// AcceptError logs an accept that failed.
func (s *Server) AcceptError(err error) {
	if more, ok := s.accepts.allow(1, 10*time.Second); ok {
		s.cfg.Env.Log.Warn("accept", slog.Any("err", err), slog.Int("suppressed", more))
	}
}
