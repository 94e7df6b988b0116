// Package httpproxy serves HTTP to the kinds of inbounds that are HTTP proxies: CONNECT, and
// requests for http:// in absolute form, several on a connection (RFC 9110, RFC 9112).
package httpproxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

const (
	defaultTimeout = option.Duration(30 * time.Second) // of handshake_timeout
	maxChallenges  = 4                                 // requests without a login on one connection
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// handshaker is the Handshaker.
type handshaker struct {
	users   inbound.Users
	maxHead int
}

var _ inbound.Handshaker = (*handshaker)(nil)

// Handshake reads requests until a CONNECT, or until the connection has no further one.
func (h *handshaker) Handshake(_ context.Context, conn core.Stream, _ core.Client, next inbound.Requests) error {
	w := &window{conn: conn}
	for {
		r, user, err := h.request(w)
		if err != nil {
			return inbound.NoteProxyHeader(err, w.b)
		}
		if r.connect {
			next.Stream(&core.Request{User: user, Target: r.target, Payload: w.rest(), AwaitsReply: true}, connect{conn})
			return nil
		}
		x := newExchange(w, r, h.maxHead)
		ended := make(chan struct{})
		next.Stream(&core.Request{User: user, Target: r.target, Payload: r.forward(), Flow: x.flow, Ended: func() { close(ended) }}, x)
		<-ended
		switch {
		case x.reusable():
		case x.whole.Load(), x.upgraded.Load() && x.flow.Cause() == nil: // both sides have ended
			ending.Dismiss(conn)
			return nil
		default:
			ending.Reset(conn)
			return nil
		}
		if err := next.Again(); err != nil {
			return err
		}
	}
}

// request reads a request with a login, if there are users. A client that sends none is
// asked for it on the same connection, as RFC 9110 §11.7.1 has it.
func (h *handshaker) request(w *window) (r request, user string, err error) {
	for range maxChallenges {
		head, err := w.head(h.maxHead)
		if err != nil {
			return r, "", err
		}
		if r, err = parseRequest(head); err != nil {
			return r, "", err
		}
		if len(h.users) == 0 {
			return r, "", nil
		}
		name, password, ok := r.login()
		if user, known := h.users.Find([]byte(name), []byte(password)); ok && known {
			return r, user, nil
		}
		if ok {
			return r, "", &refusal{407, fmt.Errorf("login as %q: %w", name, core.ErrAuth)}
		}
		if !r.stays || len(r.all("Expect")) > 0 { // whether the body comes is not known
			break
		}
		if _, err := w.conn.Write(reply(407, true, core.ErrDenied)); err != nil {
			return r, "", err
		}
		if err := w.skip(&r.body); err != nil {
			return r, "", err
		}
	}
	return r, "", &refusal{407, fmt.Errorf("no login: %w", core.ErrDenied)}
}

// Fail sends the answer of a refusal, and waits up to a second for the client to read it.
func (h *handshaker) Fail(conn core.Stream, deadline time.Time, err error) {
	if r, ok := errors.AsType[*refusal](err); ok {
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(reply(r.status, false, r.cause)); err == nil {
			ending.Dismiss(conn)
		}
	}
}

// connect is a client that waits for the result of its CONNECT.
type connect struct{ conn core.Stream }

// Accept sends the answer of success.
func (c connect) Accept() (core.Stream, error) {
	if _, err := c.conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		_ = c.conn.Close()
		return nil, fmt.Errorf("reply: %w", err)
	}
	return c.conn, nil
}

// Reject answers with the status for cause, and closes the connection.
func (c connect) Reject(cause error) {
	_ = c.conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.conn.Write(reply(statusOf(cause), false, cause))
	ending.Dismiss(c.conn)
}
