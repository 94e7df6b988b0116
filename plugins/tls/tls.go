// Package tls is the transport kind "tls": TLS 1.3, or 1.2 where it is allowed,
// over any wire and in both roles.
//
// An inbound names a component with cert and key; an outbound names one whose ca, pin or
// the system's roots determine which servers it trusts. Certificate files that change
// are read again, so a renewal needs no reload.
package tls

import (
	"context"
	stdtls "crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
)

// Options are the keys of a [transport.x] table of kind "tls".
type Options struct {
	_ core.About `help:"carries the wire in TLS"`

	Cert       string   `toml:"cert" help:"PEM file with the certificate chain, the leaf first; required for a server, optional for a client"`
	Key        string   `toml:"key" help:"PEM file with the private key of cert"`
	ClientCA   string   `toml:"client_ca" help:"server: PEM file with the CAs of clients; each client must present a certificate from one of them"`
	ServerName string   `toml:"server_name" help:"client: the name that the server's certificate must have, also sent as SNI; left out, the host that is dialled"`
	CA         string   `toml:"ca" help:"client: PEM file with the CAs to trust instead of the system's"`
	Pin        []Pin    `toml:"pin" help:"client: SHA-256 of a public key that the server may have, in base64 or hex; without ca it replaces the check of CA, name and dates"`
	ALPN       []string `toml:"alpn" help:"protocol names to offer or accept, in order of preference"`
	MinVersion Version  `toml:"min_version" default:"1.3" help:"the lowest TLS version to accept"`
}

// Transport is one configured component. It serves each role for which the required
// options are set.
type Transport struct {
	name     string
	options  Options
	material *follow.Value[*material]
}

var _ core.Transport = (*Transport)(nil)

// New reads all files that o names. Its errors are OptionErrors; a certificate
// out of its dates is a warning in the log.
func New(env core.Env, o Options) (core.Transport, error) {
	return newTransport(core.Shared[follow.Files](env.Process), env.Name, env.Log, o, time.Now)
}

func newTransport(files *follow.Files, name string, log *slog.Logger, o Options, now func() time.Time) (*Transport, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	m, err := o.follow(files, name, log, now)
	if err != nil {
		return nil, err
	}
	return &Transport{name: name, options: o, material: m}, nil
}

// CheckServer reports why t can't wrap what an inbound accepts.
func (t *Transport) CheckServer() error {
	if t.options.Cert == "" {
		return core.BadOption("cert", "missing: an inbound's TLS needs cert and key")
	}
	return nil
}

// CheckClient reports why t can't wrap what an outbound dials. A client needs no
// option at all, but client_ca without any option of a client is a mistake.
func (t *Transport) CheckClient() error {
	o := t.options
	if o.ClientCA != "" && o.CA == "" && o.ServerName == "" && len(o.Pin) == 0 {
		return core.BadOption("client_ca", "applies to inbounds only: for an outbound, want ca, pin or server_name")
	}
	return nil
}

// Client performs the handshake with the server that was dialled as server. ctx and the
// deadline of wire bound the handshake. On an error the caller still owns wire; if ctx
// has ended, the deadline of wire is in the past.
func (t *Transport) Client(ctx context.Context, wire core.Stream, server core.Addr) (core.Stream, error) {
	if err := t.CheckClient(); err != nil {
		return nil, fmt.Errorf("tls client: %w", err)
	}
	config := t.material.Get().client
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = server.Host()
	}
	return handshake(ctx, wire, config, stdtls.Client)
}

// Server performs the handshake with a client, under the same bounds and ownership as
// Client.
func (t *Transport) Server(ctx context.Context, wire core.Stream) (core.Stream, error) {
	if err := t.CheckServer(); err != nil {
		return nil, fmt.Errorf("tls server: %w", err)
	}
	return handshake(ctx, wire, t.material.Get().server, stdtls.Server)
}

// check validates the options without reading any file.
func (o Options) check() error {
	switch {
	case o.Cert != "" && o.Key == "":
		return core.BadOption("key", "missing: cert needs its private key")
	case o.Key != "" && o.Cert == "":
		return core.BadOption("cert", "missing: key needs its certificate")
	case o.ClientCA != "" && o.Cert == "":
		return core.BadOption("client_ca", "applies to servers only, which need cert and key")
	}
	if o.ServerName != "" {
		if _, err := core.NewAddr(o.ServerName, 0); err != nil {
			return core.BadOption("server_name", "%w", err)
		}
	}
	for i, p := range o.ALPN {
		if len(p) == 0 || len(p) > 255 { // RFC 7301 §3.1
			return core.BadOption("alpn", "protocol name of %d bytes: want 1 to 255", len(p))
		}
		if slices.Contains(o.ALPN[:i], p) {
			return core.BadOption("alpn", "%q is listed twice", p)
		}
	}
	return nil
}

// files lists the files that o names.
func (o Options) files() []string {
	return slices.DeleteFunc([]string{o.Cert, o.Key, o.ClientCA, o.CA}, func(s string) bool { return s == "" })
}
