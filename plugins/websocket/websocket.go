// Package websocket is the transport kind "websocket": the binary messages of RFC 6455 as a
// stream of bytes, in both roles, over a bare connection or over TLS.
//
// An inbound serves one path and answers everything else as a web server does; an outbound
// asks for that path. Web servers and content delivery networks pass such connections on.
package websocket

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [transport.x] table of kind "websocket".
type Options struct {
	_ core.About `help:"carries the wire in WebSocket messages, which web servers pass on; for an observer and for the way it is as bare as the wire, so put it over TLS"`

	Path      string                 `toml:"path" default:"/" help:"the path of the HTTP request; a server answers other paths with 404"`
	Host      string                 `toml:"host" help:"client: the Host of the request; left out, the host and port that are dialled"`
	Headers   map[string]option.Text `toml:"headers" help:"client: further lines of the request's header, such as { User-Agent = \"Mozilla/5.0\" }"`
	EarlyData int                    `toml:"early_data" default:"0" min:"0" max:"6000" help:"client: how many of the first bytes travel in the request, in Sec-WebSocket-Protocol, and so need not wait for its answer; 2048 is usual"`
	MaxHeader int                    `toml:"max_header" default:"16384" min:"1024" max:"1048576" help:"the longest header of a request or an answer in bytes; a server answers a longer one with 400"`
}

// Transport is one configured component. It serves both roles.
type Transport struct {
	path      string // without the query: what a server serves
	request   string // a client's path, with the query
	host      string
	headers   string // a client's own lines, each with its line end
	early     int    // bytes
	maxHeader int
	now       func() time.Time
}

var _ core.EarlyTransport = (*Transport)(nil)

// New returns the component. Its errors are OptionErrors.
func New(_ core.Env, o Options) (core.Transport, error) { return newTransport(o) }

func newTransport(o Options) (*Transport, error) {
	path, err := checkPath(o.Path)
	if err != nil {
		return nil, core.BadOption("path", "%w", err)
	}
	if o.Host != "" && !isHost(o.Host) {
		return nil, core.BadOption("host", "%q: want a name or an address, and a port where it is not the usual one", o.Host)
	}
	lines, err := o.headerLines()
	if err != nil {
		return nil, err
	}
	return &Transport{path: path, request: o.Path, host: o.Host, headers: lines, early: o.EarlyData, maxHeader: o.MaxHeader, now: time.Now}, nil
}

// checkPath returns the path without a query.
func checkPath(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("%q does not begin with /", s)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7F || r == '#' }) {
		return "", fmt.Errorf("%q: write spaces, # and what is not ASCII as %%20 and the like", s)
	}
	u, err := url.ParseRequestURI(s)
	if err != nil {
		return "", fmt.Errorf("%q is no path of a URL", s)
	}
	if u.Query().Has("ed") {
		return "", errors.New("ed is how other clients write the option early_data: remove it from the path")
	}
	return u.Path, nil
}

// isHost reports whether s can stand in a Host line.
func isHost(s string) bool {
	u, err := url.Parse("http://" + s)
	return err == nil && u.Host == s && u.Hostname() != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7F })
}

// bounded runs a handshake over wire until ctx ends. Then the deadline of wire is in the past
// and the error is that of ctx; wire is the caller's still.
func bounded(ctx context.Context, wire core.Stream, handshake func() (*stream, error)) (core.Stream, error) {
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(expired)
		_ = wire.SetDeadline(time.Unix(1, 0)) // wakes the handshake; an error means that wire is closed already
	})
	s, err := handshake()
	if !stop() {
		<-expired
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("websocket handshake: %w", err)
	}
	return s, nil
}
