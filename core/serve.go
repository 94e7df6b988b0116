package core

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// Server is what stream inbounds have in common: it accepts on one address and
// takes each connection through its handshake, under a deadline, within bounds
// and with its panics caught, and gives the request to the handler. It is an
// Inbound.
type Server struct {
	cfg        ServerConfig
	handshakes *handshakes
	failures   throttles // of lines about failed handshakes
	accepts    throttle  // of lines about failed accepts
	ln         *Listener
	handler    atomic.Pointer[serving]
}

// ServerConfig is what makes a Server. All fields but Transports are required.
type ServerConfig struct {
	Env        Env
	Listen     netip.AddrPort
	Transports []Transport // from the wire up
	Timeout    time.Duration
	Max        int // handshakes in progress

	// Handshake reads a request; see inbound.Handshaker.
	Handshake func(ctx context.Context, conn Stream, c Client) (*Request, Waiting, error)
	// Fail ends a connection whose handshake failed; see inbound.Handshaker.
	Fail func(conn Stream, deadline time.Time, err error)
}

// serving is what Serve was called with.
type serving struct {
	ctx context.Context
	h   Handler
}

var _ Inbound = (*Server)(nil)

// endPause is how long dropped handshakes get before they are told again: one
// that was just changing its deadline has not heard it.
const endPause = 50 * time.Millisecond

// NewServer returns a Server that has bound nothing yet.
func NewServer(cfg ServerConfig) *Server {
	return &Server{cfg: cfg, handshakes: newHandshakes(min(cfg.Max, DescriptorShare()))}
}

// Listen binds the address.
func (s *Server) Listen(ctx context.Context) error {
	ln, err := s.cfg.Env.Process.Sockets.Listen(ctx, s.cfg.Listen)
	if err != nil {
		return &OptionError{Key: "listen", Err: err}
	}
	s.ln = ln
	return nil
}

// Listening returns the address that is listened on, after Listen.
func (s *Server) Listening() netip.AddrPort { return s.ln.Addr() }

// Serve accepts connections until Shutdown.
func (s *Server) Serve(ctx context.Context, h Handler) error {
	s.handler.Store(&serving{ctx: ctx, h: h})
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
	if s.handshakes.wait(ctx) == nil {
		return nil
	}
	for {
		s.handshakes.endAll()
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

// AcceptConn serves one connection.
func (s *Server) AcceptConn(conn *net.TCPConn) {
	on := s.handler.Load()
	deadline := time.Now().Add(s.cfg.Timeout)
	client := Client{Addr: clientAddr(conn), Network: "tcp", Inbound: s.cfg.Env.Name}
	_ = conn.SetDeadline(deadline)
	// A handshake that must end finds its deadline in the past from then on:
	// nothing sets a later one before the request is known.
	hs := s.handshakes.add(client.Addr.Addr(), func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	go s.serve(on, conn, client, deadline, hs)
}

// serve takes one connection through its handshake. The connection belongs to
// the handler afterwards.
func (s *Server) serve(on *serving, conn *net.TCPConn, client Client, deadline time.Time, hs *handshake) {
	defer s.handshakes.remove(hs)
	defer func() {
		if v := recover(); v != nil {
			s.failed(conn, client, newPanicError(v))
			conn.Close()
		}
	}()
	if r, waiting := s.request(on, conn, client, deadline, hs); r != nil {
		// It counts as a handshake until the pipeline counts it as a stream, or
		// a shutdown in between would miss it.
		r.taken = func() {
			s.handshakes.remove(hs)
			_ = conn.SetDeadline(time.Time{}) // it may have been told to end a moment ago
		}
		switch p := waiting.(type) {
		case Pending:
			on.h.HandleStream(on.ctx, r, p)
		case PendingPackets:
			on.h.HandlePackets(on.ctx, r, p)
		}
	}
}

// request returns the client's request, or nil after it has ended the
// connection.
func (s *Server) request(on *serving, conn *net.TCPConn, client Client, deadline time.Time, hs *handshake) (*Request, Waiting) {
	if err := on.h.Admit(client); err != nil {
		s.end(conn, deadline, err)
		return nil, nil
	}
	wire, r, waiting, err := s.handshake(on.ctx, conn, client)
	if err != nil {
		on.h.Observe(Event{Kind: HandshakeFailed, Client: client, Authenticated: IsAuthenticated(err), Err: err})
		if s.handshakes.told(hs) { // it is our doing
			deadline = time.Now()
		} else {
			s.failed(conn, client, err)
		}
		s.end(wire, deadline, err)
		return nil, nil
	}
	_ = conn.SetDeadline(time.Time{})
	r.ID, r.Inbound, r.Client = s.cfg.Env.Process.NextID(), client.Inbound, client.Addr
	if r.Flow == nil {
		r.Flow = new(Flow)
	}
	return r, waiting
}

// handshake goes through the transports and the kind's own handshake. wire is
// the connection as far as it got.
func (s *Server) handshake(ctx context.Context, conn Stream, client Client) (wire Stream, r *Request, w Waiting, err error) {
	defer catch(&err)
	wire = conn
	for _, t := range s.cfg.Transports {
		over, err := t.Server(ctx, wire)
		if err != nil {
			return wire, nil, nil, err
		}
		wire = over
	}
	r, w, err = s.cfg.Handshake(ctx, wire, client)
	if err != nil {
		return wire, nil, nil, err
	}
	_, stream := w.(Pending)
	_, packets := w.(PendingPackets)
	if r == nil || !stream && !packets {
		err = errors.New("the handshake made no request")
	}
	return wire, r, w, err
}

// end lets the kind end a connection in its own way, and closes it.
func (s *Server) end(wire Stream, deadline time.Time, cause error) {
	err := guard(func() error {
		if !endAs(wire, cause) {
			s.cfg.Fail(wire, deadline, cause)
		}
		return nil
	})
	wire.Close()
	LogPanic(s.cfg.Env.Log, "handshake panicked", err)
}

func clientAddr(conn *net.TCPConn) netip.AddrPort {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
