package otel

import (
	"crypto/tls"
	"net/url"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// Options are the keys of an [observer.x] table of kind "otel".
type Options struct {
	_        core.About             `help:"exports connections as traces and metrics of OpenTelemetry"`
	Endpoint option.Server          `toml:"endpoint" required:"true" help:"the collector's host and port: 4317 for gRPC and 4318 for HTTP, usually"`
	Protocol string                 `toml:"protocol" default:"grpc" oneof:"grpc,http" help:"of OTLP: grpc, or http with protobuf"`
	Insecure bool                   `toml:"insecure" default:"false" help:"speak to the collector without TLS, as on this machine"`
	CAFile   string                 `toml:"ca_file" help:"the certificates in PEM that sign the collector's; left out, those of the system"`
	Headers  map[string]option.Text `toml:"headers" help:"sent with each export, such as authorization"`
	Traces   bool                   `toml:"traces" default:"true" help:"export a trace for each connection"`
	Metrics  bool                   `toml:"metrics" default:"true" help:"export metrics"`
	Sample   float64                `toml:"sample" default:"1" min:"0" max:"1" help:"the share of connections that get a trace; those that failed always do"`
	Interval option.Duration        `toml:"interval" default:"30s" min:"1s" max:"1h" help:"the time between two exports of metrics"`
	Clients  option.Clients         `toml:"clients" default:"cut" help:"addresses of clients: full, cut to their /24 or /48, or none"`
	Service  string                 `toml:"service" default:"umbra" help:"service.name of the resource; OTEL_RESOURCE_ATTRIBUTES adds to it"`
	Queue    int                    `toml:"queue" default:"2048" min:"16" max:"65536" help:"how many connections wait for the collector; further ones have no trace, which is told"`
}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	d := core.Description{Servers: []core.Server{{Key: "endpoint", Role: core.RoleSide, Addr: o.Endpoint.Addr(), Text: o.Protocol + "://" + o.Endpoint.String()}}}
	for name := range o.Headers {
		d.Secrets = append(d.Secrets, core.OptionKey("headers", name))
	}
	slices.Sort(d.Secrets)
	return d
}

// check finds what the tags can't say, and returns the TLS of the connection to the collector,
// nil for none.
func (o Options) check() (*tls.Config, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	if !o.Traces && !o.Metrics {
		return nil, core.BadOption("traces", "false, and metrics too: nothing is exported")
	}
	for name, value := range o.Headers {
		key := core.OptionKey("headers", name)
		if err := option.CheckHeaderName(name); err != nil {
			return nil, &core.OptionError{Key: key, Err: err}
		}
		if err := option.CheckHeaderValue(value.Reveal()); err != nil {
			return nil, &core.OptionError{Key: key, Err: err}
		}
	}
	switch {
	case o.Insecure && o.CAFile != "":
		return nil, core.BadOption("ca_file", "no certificate is looked at with insecure = true; leave out one of the two")
	case o.Insecure:
		return nil, nil
	}
	c := &tls.Config{ServerName: o.Endpoint.Addr().Host(), MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pool, err := textfile.Authorities(o.CAFile)
		if err != nil {
			return nil, &core.OptionError{Key: "ca_file", Err: err}
		}
		c.RootCAs = pool
	}
	return c, nil
}

// headers returns the headers as the exporters take them.
func (o Options) headers() map[string]string {
	all := map[string]string{}
	for name, value := range o.Headers {
		all[name] = value.Reveal()
	}
	return all
}

// url returns the URL of a signal over HTTP.
func (o Options) url(path string) string {
	u := url.URL{Scheme: "https", Host: o.Endpoint.String(), Path: path}
	if o.Insecure {
		u.Scheme = "http"
	}
	return u.String()
}
