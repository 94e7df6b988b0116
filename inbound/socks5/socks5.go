// Package socks5 is the SOCKS5 inbound: RFC 1928 with CONNECT and UDP ASSOCIATE,
// and RFC 1929 for users with passwords.
package socks5

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/inbound"
)

// defaultTimeout is the default of handshake_timeout.
const defaultTimeout = option.Duration(30 * time.Second)

// Options are the keys of an [inbound.x] table of kind socks5.
type Options struct {
	_ core.About `help:"SOCKS5 for programs on this machine, or, with users, on others"`

	inbound.Options
	Users      map[string]option.Text `toml:"users" help:"names and passwords of the users; without any, every client that can reach the address is served"`
	AllowOpen  bool                   `toml:"allow_open" default:"false" help:"serve other machines although there are no users"`
	UDPPorts   option.Ports           `toml:"udp_ports" help:"the ports that associations use, as \"20000-20100\"; without it, the system picks each port"`
	UDPShared  bool                   `toml:"udp_shared" help:"all associations share one UDP socket, on the address and port of listen; else each has a port of its own"`
	UDPAddress option.IP              `toml:"udp_address" help:"the address that clients are told to send their datagrams to, where a NAT or a container hides this machine's own"`
}

// New returns a SOCKS5 inbound. Without users it returns an error for an address that
// other machines can reach, unless o allows that; then it logs a warning.
func New(env core.Env, o Options) (core.Inbound, error) {
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultTimeout
	}
	known, err := inbound.NewUsers(o.Users)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(o.Listen, isOpen); len(known) == 0 && i >= 0 {
		if !o.AllowOpen {
			return nil, core.BadOption(core.OptionKey("listen", strconv.Itoa(i)), "%s is open to other machines and there are no users; add users, listen on %q, or set allow_open = true",
				o.Listen[i], fmt.Sprintf("127.0.0.1:%d", o.Listen[i].Port()))
		}
		env.Log.LogAttrs(context.Background(), slog.LevelWarn, "no users: every client that can reach this address is served",
			slog.String("listen", o.Listen[i].String()))
	}
	switch {
	case o.UDPShared && o.UDPPorts.IsValid():
		return nil, core.BadOption("udp_shared", "give only one of udp_shared and udp_ports")
	case o.UDPShared && !o.Mode.Packets():
		return nil, core.BadOption("udp_shared", "mode = %q serves no UDP", o.Mode)
	}
	h := &handshaker{users: known, mode: o.Mode, ports: o.UDPPorts, told: o.UDPAddress.Addr, quota: inbound.KeepQuota(env, o.Options)}
	streams, err := inbound.New(env, o.Options, h)
	if err != nil || !o.UDPShared {
		return streams, err
	}
	h.shared = newShared(env, o.Options, &h.memo)
	return inbound.Both(streams, h.shared), nil
}

// isOpen reports whether other machines may reach an address.
func isOpen(l option.Listen) bool { return !l.IsLoopback() }

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
