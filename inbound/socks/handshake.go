// Package socks serves SOCKS to the kinds of inbounds that have it: SOCKS5, which is RFC 1928
// with CONNECT and UDP ASSOCIATE and RFC 1929 for users with passwords, and SOCKS4 with
// SOCKS4a.
package socks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/inbound"
)

// handshaker is the Handshaker of SOCKS5: greeting, login and request.
type handshaker struct {
	users inbound.Users
	mode  option.Mode
	ports option.Ports   // of associations
	told  netip.Addr     // in replies to ASSOCIATE, if valid
	quota *inbound.Quota // of associations
	memo  memo           // parses datagrams of associations

	shared *shared // the socket of all associations; nil if each has its own
}

var _ inbound.Handshaker = (*handshaker)(nil)

// Handshake reads a request. Bytes that the client sent after a CONNECT become the
// request's payload.
//
// The error is an ErrShort if the client ended or was too slow, an ErrAuth for a wrong
// password, an ErrMalformed for malformed bytes, and an ErrDenied for a well-formed
// request that is not served: another command, or no login although one is required.
func (h *handshaker) Handshake(_ context.Context, conn core.Stream, c core.Client, requests inbound.Requests) error {
	w := &window{conn: conn}
	method, err := h.greet(w)
	if err != nil {
		return err
	}
	if method == socksaddr.MethodNone {
		return h.request(w, c, "", requests)
	}
	user, err := h.login(w)
	if err != nil {
		return err
	}
	if err := h.request(w, c, user, requests); err != nil && user != "" {
		return core.Authenticated(err)
	} else if err != nil {
		return err
	}
	return nil
}

// request reads the request and passes it on.
func (h *handshaker) request(w *window, c core.Client, user string, requests inbound.Requests) error {
	r, err := h.command(w)
	switch {
	case err != nil:
		return err
	case r.cmd == socksaddr.CmdAssociate:
		a := newAssociate(h, w.conn, c.Addr.Addr(), r.target)
		a.user = user
		requests.Packets(&core.Request{User: user, Flow: a.flow}, a)
	case r.isLookup():
		requests.Stream(&core.Request{User: user, Target: r.target, IPs: r.ips(), Payload: w.rest(), AwaitsReply: true}, lookup{pending{w.conn}})
	default:
		requests.Stream(&core.Request{User: user, Target: r.target, Payload: w.rest(), AwaitsReply: true}, pending{w.conn})
	}
	return nil
}

// Fail sends the answer of a refusal, waits up to a second for the client to read it, and
// returns. A client that speaks another protocol, has ended, or was refused before its
// first byte gets no answer.
func (h *handshaker) Fail(conn core.Stream, deadline time.Time, err error) { fail(conn, deadline, err) }

func fail(conn core.Stream, deadline time.Time, err error) {
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

// greet negotiates the method: only the password if there are users, and no
// authentication if there are no users.
func (h *handshaker) greet(w *window) (method byte, err error) {
	offered, err := next(w, "greeting", parseGreeting)
	if err != nil {
		return 0, inbound.NoteProxyHeader(err, w.b[w.from:w.to]) // another protocol, which gets no answer
	}
	refused := []byte{socksaddr.Version, socksaddr.MethodRefused}
	if len(offered) == 0 {
		return 0, &refusal{refused, fmt.Errorf("greeting: %w: no methods", core.ErrMalformed)}
	}
	method = socksaddr.MethodPassword
	if len(h.users) == 0 && bytes.Contains(offered, []byte{socksaddr.MethodNone}) {
		method = socksaddr.MethodNone
	}
	if !bytes.Contains(offered, []byte{method}) {
		if len(h.users) == 0 {
			return 0, &refusal{refused, fmt.Errorf("greeting: neither method %d nor %d is offered: %w", socksaddr.MethodNone, socksaddr.MethodPassword, core.ErrDenied)}
		}
		return 0, &refusal{refused, fmt.Errorf("greeting: method %d is not offered: %w", method, core.ErrDenied)}
	}
	return method, w.answer("greeting", socksaddr.Version, method)
}

// login returns the user name that the client has proved by the password. Without users
// it takes any login, and returns no name.
func (h *handshaker) login(w *window) (string, error) {
	failed := []byte{socksaddr.LoginVersion, socksaddr.LoginFailure}
	l, err := next(w, "login", parseLogin)
	if err != nil {
		return "", refuseMalformed(failed, err)
	}
	name, ok := h.users.Find(l.name, l.password)
	if !ok && len(h.users) > 0 {
		return "", &refusal{failed, fmt.Errorf("login as %q: %w", l.name, core.ErrAuth)}
	}
	return name, w.answer("login", socksaddr.LoginVersion, socksaddr.LoginSuccess)
}

// command reads a request and returns it if the inbound serves it.
func (h *handshaker) command(w *window) (request, error) {
	r, err := next(w, "request", parseRequest)
	switch {
	case errors.Is(err, core.ErrAddrType):
		return request{}, refuse(socksaddr.RepBadAddrType, err)
	case err != nil:
		return request{}, refuseMalformed(appendReply(nil, socksaddr.RepFailure), err)
	case r.cmd == socksaddr.CmdConnect && h.mode.Streams() && r.target.Port() == 0:
		return request{}, refuse(socksaddr.RepFailure, fmt.Errorf("request: %w: port 0 in target %s", core.ErrMalformed, r.target))
	case r.cmd == socksaddr.CmdResolveName && h.mode.Streams() && r.target.Name() != "":
		return request{}, refuse(socksaddr.RepFailure, fmt.Errorf("request: %w: RESOLVE_PTR of the name %s", core.ErrMalformed, r.target.Name()))
	case (r.cmd == socksaddr.CmdConnect || r.isLookup()) && h.mode.Streams(), r.cmd == socksaddr.CmdAssociate && h.mode.Packets():
		return r, nil
	}
	return request{}, refuse(socksaddr.RepBadCommand, fmt.Errorf("request: %s is not served: %w", commandName(r.cmd), core.ErrDenied))
}
