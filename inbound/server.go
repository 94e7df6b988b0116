package inbound

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// Server is the common part of stream inbounds. It accepts connections on its
// addresses, runs the handshake of each connection, under a deadline, within bounds and with panics
// caught, and passes the request to the handler. It is a core.Inbound. The life of one
// connection is in handshake.go.
type Server struct {
	cfg       ServerConfig
	strangers *budget.Strangers // the handshakes in progress
	failures  throttles         // of log lines about failed handshakes
	accepts   throttle          // of log lines about failed accepts
	headers   throttle          // of log lines about headers of the front
	crowds    core.Alarm        // for refused connections
	listeners []*netio.Listener // one for each address
	pipeline  atomic.Pointer[serving]
}

// ServerConfig configures a Server. All fields but Sockets, Front and Transports are
// required.
type ServerConfig struct {
	Env        core.Env
	Listen     option.ListenList
	Sockets    netio.SocketOptions
	Front      Front            // nil if clients connect directly
	Transports []core.Transport // from the wire up
	Timeout    time.Duration
	Max        int // most handshakes in progress
	PerClient  int // most of them of one client address; IPv6: of one /64

	// Least is how many bytes of a request there are before Handshake is called; 0
	// means 1. Handshake is called with fewer if the client ends, or is late.
	Least int
	// AtOnce says that Handshake is called before the client's first byte: the target may
	// speak first.
	AtOnce bool
	// Hides says that the kind ends by a Rejecter, with which a stranger has as many
	// descriptors as Descriptors says; 0 means 1.
	Hides       bool
	Descriptors int
	// Handshake reads a request; see Handshaker.
	Handshake func(ctx context.Context, conn core.Stream, c core.Client, next Requests) error
	// Fail ends a connection whose handshake failed; see Handshaker.
	Fail func(conn core.Stream, deadline time.Time, err error)
}

// serving are the arguments of Serve.
type serving struct {
	ctx     context.Context
	handler core.Handler
}

var _ core.Inbound = (*Server)(nil)

// NewServer returns a Server. It binds no address.
func NewServer(cfg ServerConfig) *Server {
	s := &Server{cfg: cfg}
	s.strangers = budget.Of(cfg.Env.Process).NewStrangers(cfg.Max, cfg.PerClient, s.logCrowd)
	s.strangers.UseDescriptors(max(1, cfg.Descriptors))
	return s
}

// Listen binds the addresses.
func (s *Server) Listen(ctx context.Context) (err error) {
	of := leases[*netio.Listener]{
		env: s.cfg.Env, network: core.TCP, lease: netio.SocketsOf(s.cfg.Env.Process).ListenWith,
		options: s.cfg.Sockets, carrier: core.CarrierOf(s.cfg.Transports),
	}
	s.listeners, err = of.of(ctx, s.cfg.Listen)
	return err
}

// Listening returns the listening addresses. It may be called after Listen.
func (s *Server) Listening() []netip.AddrPort {
	var all []netip.AddrPort
	for _, l := range s.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// Serve accepts connections until Shutdown.
func (s *Server) Serve(ctx context.Context, h core.Handler) error {
	s.pipeline.Store(&serving{ctx: ctx, handler: h})
	var serving sync.WaitGroup
	for _, l := range s.listeners {
		serving.Go(func() { l.Serve(s) })
	}
	serving.Wait()
	return nil
}

// Shutdown stops accepting, waits for the handshakes in progress until ctx ends, and then
// evicts them.
func (s *Server) Shutdown(ctx context.Context) error {
	if len(s.listeners) == 0 {
		return nil
	}
	for _, l := range s.listeners {
		l.Close()
	}
	s.strangers.Close()
	if s.strangers.Wait(ctx) == nil {
		return nil
	}
	for {
		s.strangers.EvictAll()
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget.EvictAgain)
		err := s.strangers.Wait(again)
		cancel()
		if err == nil {
			return nil
		}
	}
}

// AcceptError logs a failed accept.
func (s *Server) AcceptError(err error) {
	if more, ok := s.accepts.allow(1, 10*time.Second); ok {
		s.cfg.Env.Log.Warn("accept", slog.Any("err", err), slog.Int("suppressed", more))
	}
}

// logCrowd logs that there are too many handshakes in progress.
func (s *Server) logCrowd() {
	if count, say := s.crowds.Count(time.Now()); say {
		s.cfg.Env.Log.Warn("too many handshakes in progress: connections are refused or ended early",
			slog.Int("max_handshakes", s.cfg.Max), slog.Int("client_handshakes", s.cfg.PerClient), slog.Int("suppressed", count-1))
	}
}

// Measure implements core.Measurer.
func (s *Server) Measure(yield func(core.Figure)) {
	yield(core.Figure{Metric: metrics.Handshakes, Labels: []string{s.cfg.Env.Name}, Value: float64(s.strangers.Len())})
}
