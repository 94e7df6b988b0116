// Package http is the outbound of a client of an HTTP proxy: CONNECT of RFC 9110 §9.3.6
// over HTTP/1.1, with the Basic login of RFC 7617.
package http

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound"
)

// Options are the keys of an [outbound.x] table of kind "http".
type Options struct {
	_ core.About `help:"connects through an HTTP proxy, by CONNECT; with a transport of kind tls through an HTTPS proxy"`

	outbound.Options
	outbound.Login
	Headers map[string]option.Text `toml:"headers" help:"further lines of the request's header, such as { User-Agent = \"curl/8.0\" }"`
}

// Outbound is one HTTP proxy to go through.
type Outbound struct {
	way     outbound.Way
	login   bool
	headers string // lines behind the first two of each request, and the empty one
}

var _ core.Outbound = (*Outbound)(nil)

// New returns the outbound.
func New(env core.Env, o Options) (core.Outbound, error) {
	way, err := outbound.NewWay(env, o.Options)
	if err != nil {
		return nil, err
	}
	user, password, err := o.Login.Read(env.Log)
	switch {
	case err != nil:
		return nil, err
	case strings.Contains(user, ":"):
		return nil, core.BadOption("user", "a name with a colon can't be sent (RFC 7617)")
	}
	var lines strings.Builder
	if o.Login.Given() {
		fmt.Fprintf(&lines, "Proxy-Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		value := o.Headers[name].Reveal()
		if err := checkHeader(name, value, o.Login.Given()); err != nil {
			return nil, &core.OptionError{Key: core.OptionKey("headers", name), Err: err}
		}
		fmt.Fprintf(&lines, "%s: %s\r\n", name, value)
	}
	return &Outbound{way: way, login: o.Login.Given(), headers: lines.String() + "\r\n"}, nil
}

// Over returns the Dialer that reaches the proxy over wire.
func (o *Outbound) Over(wire core.Dialer) (core.Dialer, error) {
	over, err := o.way.Over(wire)
	if err != nil {
		return nil, err
	}
	return &hop{Outbound: o, wire: over}, nil
}

// hop is the Outbound at one position in a chain.
type hop struct {
	*Outbound
	wire core.Dialer
}

var _ core.Dialer = (*hop)(nil)

// DialStream asks the proxy for the target and returns the stream when the proxy has reached
// it. A name is sent as it is.
func (h *hop) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	target := outbound.Target(r)
	request := fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n%s", target, h.headers)
	s, err := h.way.Ask(ctx, h.wire, r, request, func(conn io.ReadWriter) ([]byte, error) {
		head, beyond, err := readHead(conn)
		if err == nil {
			err = head.result(h.login)
		}
		return beyond, err
	})
	if err != nil {
		return nil, fmt.Errorf("http proxy %s: %w", h.way.Server, err)
	}
	return s, nil
}

// OpenPackets returns core.ErrNoPackets.
func (h *hop) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return nil, h.CheckPackets()
}

// CheckPackets returns core.ErrNoPackets: CONNECT carries streams.
func (*hop) CheckPackets() error { return fmt.Errorf("%w through an HTTP proxy", core.ErrNoPackets) }

// PayloadWait returns 0: the proxy's reply has the true result, and the payload follows it.
func (*hop) PayloadWait(*core.Request) time.Duration { return 0 }
