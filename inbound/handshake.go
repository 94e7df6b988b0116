package inbound

import (
	"context"
	"errors"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
	"net"
	"net/netip"
	"time"
)

// visit is one connection until its request is known.
type visit struct {
	on       *serving
	conn     *net.TCPConn
	client   core.Client
	way      way
	deadline time.Time // of the handshake, or of what a front says before it
	hs       *handshake
	ctx      context.Context    // of the handshake; the pipeline's own is that of on
	cancel   context.CancelFunc // ends ctx
}

// AcceptConn serves one connection.
func (s *Server) AcceptConn(conn *net.TCPConn) {
	v := &visit{on: s.handler.Load(), conn: conn, client: core.Client{Addr: netio.RemoteAddr(conn), Network: core.TCP, Inbound: s.cfg.Env.Name}}
	source, timeout := v.client.Addr.Addr(), s.cfg.Timeout
	switch f := s.cfg.Front; {
	case f == nil:
	case f.Trusts(source):
		// The front has no bound of its own: it is not one client.
		v.way, source, timeout = throughFront, netip.Addr{}, f.Timeout()
	default:
		v.way = pastFront
	}
	v.deadline = time.Now().Add(timeout)
	_ = conn.SetDeadline(v.deadline)
	ctx, cancel := context.WithCancel(v.on.ctx)
	v.ctx, v.cancel = ctx, cancel
	// A handshake that must end finds its deadline in the past from then on, and its
	// context cancelled.
	v.hs = s.handshakes.add(source, func() {
		_ = conn.SetDeadline(time.Unix(1, 0))
		cancel()
	})
	go s.serve(v)
}

// serve takes one connection through its handshake. The connection belongs to
// the handler afterwards.
func (s *Server) serve(v *visit) {
	defer v.cancel()
	defer s.handshakes.remove(v.hs)
	defer func() {
		if p := recover(); p != nil {
			s.failed(v, panics.New(p))
			v.conn.Close()
		}
	}()
	if v.way == throughFront && !s.meet(v) {
		return
	}
	if r, waiting := s.request(v); r != nil {
		// It counts as a handshake until the pipeline counts it as a stream, or
		// a shutdown in between would miss it.
		live := func() {
			s.handshakes.remove(v.hs)
			_ = v.conn.SetDeadline(time.Time{}) // it may have been told to end a moment ago
		}
		switch p := waiting.(type) {
		case core.Pending:
			v.on.h.HandleStream(v.on.ctx, r, p, live)
		case core.PendingPackets:
			v.on.h.HandlePackets(v.on.ctx, r, p, live)
		}
	}
}

// request returns the client's request, or nil after it has ended the
// connection.
func (s *Server) request(v *visit) (*core.Request, core.Waiting) {
	if err := s.admit(v); err != nil {
		s.end(v, v.conn, err)
		return nil, nil
	}
	wire, r, waiting, err := s.handshake(v)
	if err != nil {
		s.observe(v, core.Event{Kind: core.HandshakeFailed, Client: v.client, Authenticated: core.IsAuthenticated(err), Err: err})
		if s.handshakes.told(v.hs) { // it is our doing
			v.deadline = time.Now()
		} else {
			s.failed(v, err)
		}
		s.end(v, wire, err)
		return nil, nil
	}
	_ = v.conn.SetDeadline(time.Time{})
	r.ID, r.Inbound, r.Client = s.cfg.Env.Process.NextID(), v.client.Inbound, v.client.Addr
	r.Unattributed = v.way == unattributed
	if r.Flow == nil {
		r.Flow = new(core.Flow)
	}
	return r, waiting
}

// admit asks the gates, where a client is known.
func (s *Server) admit(v *visit) error {
	if v.way == unattributed {
		return nil
	}
	return v.on.h.Admit(v.client)
}

// observe tells the gates that were asked.
func (s *Server) observe(v *visit, e core.Event) {
	if v.way != unattributed {
		v.on.h.Observe(e)
	}
}

// handshake goes through the transports and the kind's own handshake. wire is
// the connection as far as it got.
func (s *Server) handshake(v *visit) (wire core.Stream, r *core.Request, w core.Waiting, err error) {
	defer panics.Catch(&err)
	wire = v.conn
	if v.way == pastFront {
		return wire, nil, nil, core.ErrUntrusted
	}
	for _, t := range s.cfg.Transports {
		over, err := t.Server(v.ctx, wire)
		if err != nil {
			return wire, nil, nil, err
		}
		wire = over
	}
	r, w, err = s.cfg.Handshake(v.ctx, wire, v.client)
	if err != nil {
		return wire, nil, nil, err
	}
	_, stream := w.(core.Pending)
	_, packets := w.(core.PendingPackets)
	if r == nil || !stream && !packets {
		err = errors.New("the handshake made no request")
	}
	return wire, r, w, err
}

// end lets the kind end a connection in its own way, and closes it.
func (s *Server) end(v *visit, wire core.Stream, cause error) {
	err := panics.Call(func() error {
		if !ending.Refuse(wire, cause) {
			s.cfg.Fail(wire, v.deadline, cause)
		}
		return nil
	})
	wire.Close()
	panics.Log(s.cfg.Env.Log, "handshake panicked", err)
}
