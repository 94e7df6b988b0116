package inbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// handshake is one connection from its accept until its request is known:
//
//	accept, front, gates, transports, the kind's handshake
//
// serve runs these steps in this order.
type handshake struct {
	server   *Server
	pipeline *serving
	conn     *net.TCPConn
	client   core.Client
	front    frontState
	accepted time.Time
	admitted time.Time       // the gates let the client in
	deadline time.Time       // of the handshake, or, before it, of the front's header
	stranger budget.Stranger // in Server.strangers

	ctx    context.Context // ends with the handshake, or when the handshake is evicted
	cancel context.CancelFunc

	passedOn bool  // a request was passed on: the connection belongs to the handler
	later    bool  // an earlier request of the connection has ended
	refused  error // the error of Again
	closing  bool  // it was the server that refused, not a gate
}

// AcceptConn serves one connection.
func (s *Server) AcceptConn(conn *net.TCPConn) {
	h := &handshake{
		server: s, pipeline: s.pipeline.Load(), conn: conn, accepted: time.Now(),
		client: core.Client{Addr: netio.RemoteAddr(conn), Network: core.TCP, Inbound: s.cfg.Env.Name},
	}
	source, timeout := h.client.Addr.Addr(), s.cfg.Timeout
	switch f := s.cfg.Front; {
	case f == nil:
	case f.Trusts(source):
		// The front has no bound per source, because it carries many clients.
		h.front, source, timeout = throughFront, netip.Addr{}, f.Timeout()
	default:
		h.front = pastFront
	}
	h.deadline = h.accepted.Add(timeout)
	_ = conn.SetDeadline(h.deadline)
	h.ctx, h.cancel = context.WithCancel(h.pipeline.ctx)
	if err := s.strangers.Add(&h.stranger, h, source); err != nil {
		h.cancel()
		conn.Close()
		return
	}
	go h.serve()
}

// serve runs the handshake of the connection. A connection that is not served ends in a
// goroutine of its own: an end may take a minute, and needs less of a stack than the
// handshake did.
func (h *handshake) serve() {
	wire, cause := h.handle()
	if cause == nil {
		h.leave()
		return
	}
	go func() {
		defer h.leave()
		defer h.recover(wire)
		h.end(wire, cause)
	}()
}

// leave is called when the handshake has ended, whatever its end.
func (h *handshake) leave() {
	h.server.strangers.Remove(&h.stranger)
	h.cancel()
}

// recover logs a panic and closes the connection, if it is still the handshake's.
func (h *handshake) recover(wire io.Closer) {
	if p := recover(); p != nil {
		h.log(panics.New(p))
		if !h.passedOn {
			wire.Close()
		}
	}
}

// handle runs the steps of the handshake. If the connection must be ended, handle returns
// it with the cause.
func (h *handshake) handle() (wire core.Stream, cause error) {
	defer h.recover(h.conn)
	if h.front == throughFront && !h.readFront() {
		return nil, nil
	}
	err := h.pipeline.handler.Admit(h.client)
	h.admitted = time.Now()
	if err == nil || h.server.cfg.Hides && isDrained(err) {
		h.awaitFirst(err == nil)
	}
	if err != nil {
		return h.conn, err
	}
	wire, err = h.request()
	switch {
	case h.refused != nil:
		return wire, h.causeOfRefusal(wire, err)
	case err == nil:
	case !h.passedOn:
		return wire, h.fail(err)
	default: // only a panic leaves the connection without an owner
		if panics.Log(h.server.cfg.Env.Log, "handshake panicked", err, slog.Any("client", h.client.Addr)) {
			h.conn.Close()
		}
	}
	return nil, nil
}

// awaitFirst waits for the client's first bytes: for the first one, and then, if admitted,
// for as many as a request has at least. Most of what a silent client costs is the stack
// of its goroutine, which is small up to here. A failure is left to the reads that follow.
// A refused client of a kind that hides is waited for too, so that it counts as one that
// has sent bytes when any other client would. Where the target may speak first nothing is
// waited for.
func (h *handshake) awaitFirst(admitted bool) {
	if h.server.cfg.AtOnce || h.front == pastFront || netio.WaitBytes(h.conn, 1) != nil {
		return
	}
	h.server.strangers.Started(&h.stranger)
	if admitted && h.server.cfg.Least > 1 {
		_ = netio.WaitBytes(h.conn, h.server.cfg.Least)
	}
}

// isDrained reports whether the error of a gate leaves the client in silence.
func isDrained(err error) bool {
	refusal, ok := errors.AsType[*core.Refusal](err)
	return !ok || refusal.End == core.EndAsFailed || refusal.End == core.EndDrained
}

// request runs the transports and the kind's handshake, which passes the request on. It
// returns the outermost stream that was established, for an error too.
func (h *handshake) request() (wire core.Stream, err error) {
	defer panics.Catch(&err)
	wire = h.conn
	if h.front == pastFront {
		return wire, core.ErrUntrusted
	}
	for _, t := range h.server.cfg.Transports {
		over, err := t.Server(h.ctx, wire)
		if err != nil {
			return wire, noteHeaderBeforeTLS(err)
		}
		wire = over
	}
	err = h.server.cfg.Handshake(h.ctx, wire, h.client, h)
	if err == nil && !h.passedOn {
		err = errors.New("the handshake made no request")
	}
	return wire, err
}

// fail notifies gates of a failed handshake, logs it, and returns the error with which to
// end the connection. If the client has ended, or is silent, after an earlier request,
// that is the usual end of a connection with several requests: gates are notified of an
// ErrIdle.
func (h *handshake) fail(err error) error {
	if h.later && isSilence(err) {
		err = fmt.Errorf("%w between requests: %w", core.ErrIdle, err)
	}
	if h.sentNothing(err) {
		err = &nothing{err}
	}
	h.observeFailure(err)
	if h.server.strangers.Evicted(&h.stranger) { // the server caused the error
		h.deadline = time.Now()
	} else {
		h.log(err)
	}
	return err
}

// observeFailure notifies gates and observers of a failed handshake.
func (h *handshake) observeFailure(err error) {
	received := int64(-1)
	if n, ok := netio.Received(h.conn); ok {
		received = int64(n)
	}
	h.pipeline.handler.Observe(core.Event{
		Kind: core.HandshakeFailed, Client: h.client, Authenticated: core.IsAuthenticated(err), Err: err, Received: received,
		Stages: core.Stages{Accepted: h.accepted, Admitted: h.admitted, Ended: time.Now()},
	})
}

// end ends a connection in the way that a gate or the kind selects, and closes the
// connection.
func (h *handshake) end(wire core.Stream, cause error) {
	err := panics.Call(func() error {
		if !ending.Refuse(wire, cause) {
			h.server.cfg.Fail(wire, h.deadline, cause)
		}
		return nil
	})
	wire.Close()
	panics.Log(h.server.cfg.Env.Log, "handshake panicked", err)
}

// MakeRoom ends the handshake soon and without a log line: it sets the connection's
// deadline to the past and cancels the context. It implements budget.Member.
func (h *handshake) MakeRoom() {
	_ = h.conn.SetDeadline(past)
	h.cancel()
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)
