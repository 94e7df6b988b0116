// Package http is the inbound of an HTTP proxy: CONNECT, and requests for http:// in absolute
// form, several on a connection (RFC 9110, RFC 9112).
package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
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

// Options are the keys of an [inbound.x] table of kind http.
type Options struct {
	_ core.About `help:"an HTTP proxy for programs on this machine, or, with users, on others: CONNECT and http://"`
	inbound.StreamOptions
	Users     map[string]option.Text `toml:"users" help:"names and passwords of the users (Basic); without any, every client that can reach the address is served"`
	AllowOpen bool                   `toml:"allow_open" default:"false" help:"serve other machines although there are no users"`
	MaxHead   int                    `toml:"max_head" default:"65536" min:"4096" max:"1048576" help:"how many bytes the head of a request, or of an answer, may have"`
}

// New returns the inbound. Without users it returns an error for an address that other
// machines can reach, unless o allows that; then it logs a warning.
func New(env core.Env, o Options) (core.Inbound, error) {
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultTimeout
	}
	known, err := inbound.NewUsers(o.Users)
	if err != nil {
		return nil, err
	}
	for name := range o.Users {
		if strings.Contains(name, ":") {
			return nil, core.BadOption("users", "user %q: a name in HTTP has no colon", name)
		}
	}
	if i := slices.IndexFunc(o.Listen, func(l option.Listen) bool { return !l.IsLoopback() }); len(known) == 0 && i >= 0 {
		if !o.AllowOpen {
			return nil, core.BadOption(core.OptionKey("listen", strconv.Itoa(i)), "%s is open to other machines and there are no users; add users, listen on %q, or set allow_open = true",
				o.Listen[i], fmt.Sprintf("127.0.0.1:%d", o.Listen[i].Port()))
		}
		env.Log.LogAttrs(context.Background(), slog.LevelWarn, "no users: every client that can reach this address is served",
			slog.String("listen", o.Listen[i].String()))
	}
	return inbound.New(env, o.StreamOptions.Options(), &handshaker{known, o.MaxHead})
}

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
