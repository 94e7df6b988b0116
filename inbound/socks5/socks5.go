// Package socks5 is the SOCKS5 inbound: RFC 1928 with CONNECT and UDP ASSOCIATE,
// and RFC 1929 for users with passwords.
package socks5

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// defaultTimeout is what a client gets for its request unless the file says
// otherwise.
const defaultTimeout = option.Duration(30 * time.Second)

// Options are the keys of an [inbound.x] table of kind socks5.
type Options struct {
	_ core.About `help:"SOCKS5 for programs on this machine, or, with users, on others"`

	inbound.Options
	Users     map[string]option.Text `toml:"users" help:"names and passwords of the users; without any, every client that can reach the address is served"`
	AllowOpen bool                   `toml:"allow_open" default:"false" help:"serve other machines although there are no users"`
	UDPPorts  option.Ports           `toml:"udp_ports" help:"the ports that associations use, as \"20000-20100\"; without it, those that the system picks"`
}

// New returns a SOCKS5 inbound. It refuses to be open to other machines without
// users unless o allows that, and then it warns.
func New(env core.Env, o Options) (core.Inbound, error) {
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultTimeout
	}
	known, err := newUsers(o.Users)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 && !o.Listen.AddrPort().Addr().IsLoopback() {
		if !o.AllowOpen {
			return nil, core.BadOption("listen", "%s is open to other machines and there are no users; add users, listen on %q, or set allow_open = true",
				o.Listen, fmt.Sprintf("127.0.0.1:%d", o.Listen.AddrPort().Port()))
		}
		env.Log.LogAttrs(context.Background(), slog.LevelWarn, "no users: every client that can reach this address is served",
			slog.String("listen", o.Listen.String()))
	}
	return inbound.New(env, o.Options, &handshaker{users: known, mode: o.Mode, ports: o.UDPPorts, quota: inbound.KeepQuota(env, o.Options)})
}

// handshaker takes clients through greeting, login and request.
type handshaker struct {
	users users
	mode  option.Mode
	ports option.Ports   // of associations
	quota *inbound.Quota // of associations
	memo  memo           // of their datagrams
}

var _ inbound.Handshaker = (*handshaker)(nil)

// Handshake reads a request. What the client sent behind a CONNECT becomes the
// request's payload.
//
// The error of a client that ended or was too slow is an ErrShort, of a wrong
// password ErrAuth, of broken bytes ErrMalformed; of a well-formed wish that is
// not served, another command or no login where one is needed, ErrDenied.
func (h *handshaker) Handshake(_ context.Context, conn core.Stream, c core.Client, requests inbound.Requests) error {
	w := &window{conn: conn}
	if err := h.greet(w); err != nil {
		return err
	}
	if len(h.users) == 0 {
		return h.request(w, c, "", requests)
	}
	user, err := h.login(w)
	if err != nil {
		return err
	}
	if err := h.request(w, c, user, requests); err != nil {
		return core.Authenticated(err)
	}
	return nil
}

// request reads what the client asks for, and passes it on.
func (h *handshaker) request(w *window, c core.Client, user string, requests inbound.Requests) error {
	r, err := h.command(w)
	switch {
	case err != nil:
		return err
	case r.cmd == cmdAssociate:
		a := newAssociate(h, w.conn, c.Addr.Addr(), r.target)
		requests.Packets(&core.Request{User: user, Flow: a.flow}, a)
	default:
		requests.Stream(&core.Request{User: user, Target: r.target, Payload: w.rest()}, pending{w.conn})
	}
	return nil
}

// Fail answers a client whose handshake was refused, lets it read the answer
// for a second at most, and returns. A client that speaks another protocol, has
// ended, or was refused before it spoke is owed no answer.
func (h *handshaker) Fail(conn core.Stream, deadline time.Time, err error) {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return
	}
	until := time.Now().Add(lingerTime)
	if !deadline.IsZero() && deadline.Before(until) {
		until = deadline
	}
	dismiss(conn, until, r.answer)
}

// greet agrees on a method: the password if there are users, never less, and
// none if there are none.
func (h *handshaker) greet(w *window) error {
	offered, err := next(w, "greeting", parseGreeting)
	if err != nil {
		return err // another protocol, which gets no answer
	}
	refused := []byte{version, methodRefused}
	if len(offered) == 0 {
		return &refusal{refused, fmt.Errorf("greeting: %w: no methods", core.ErrMalformed)}
	}
	method := byte(methodNone)
	if len(h.users) > 0 {
		method = methodPassword
	}
	if !bytes.Contains(offered, []byte{method}) {
		return &refusal{refused, fmt.Errorf("greeting: method %d is not offered: %w", method, core.ErrDenied)}
	}
	return w.answer("greeting", version, method)
}

// login returns the name of the user that the client proves to be.
func (h *handshaker) login(w *window) (string, error) {
	failed := []byte{loginVersion, loginFailure}
	l, err := next(w, "login", parseLogin)
	if err != nil {
		return "", refuseMalformed(failed, err)
	}
	name, ok := h.users.find(l)
	if !ok {
		return "", &refusal{failed, fmt.Errorf("login as %q: %w", l.name, core.ErrAuth)}
	}
	return name, w.answer("login", loginVersion, loginSuccess)
}

// command returns a request that is served.
func (h *handshaker) command(w *window) (request, error) {
	r, err := next(w, "request", parseRequest)
	switch {
	case errors.Is(err, core.ErrAddrType):
		return request{}, refuse(repBadAddrType, err)
	case err != nil:
		return request{}, refuseMalformed(appendReply(nil, repFailure), err)
	case r.cmd == cmdConnect && h.mode.Streams() && r.target.Port() == 0:
		return request{}, refuse(repFailure, fmt.Errorf("request: %w: port 0 in target %s", core.ErrMalformed, r.target))
	case r.cmd == cmdConnect && h.mode.Streams(), r.cmd == cmdAssociate && h.mode.Packets():
		return r, nil
	}
	return request{}, refuse(repBadCommand, fmt.Errorf("request: %s is not served: %w", commandName(r.cmd), core.ErrDenied))
}
