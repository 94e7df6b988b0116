// Package http is the inbound of an HTTP proxy.
package http

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/inbound/httpproxy"
)

// Options are the keys of an [inbound.x] table of kind http.
type Options struct {
	_ core.About `help:"an HTTP proxy for programs on this machine, or, with users, on others: CONNECT and http://"`
	httpproxy.Options
}

// New returns the inbound. Its errors name the key to correct.
func New(env core.Env, o Options) (core.Inbound, error) { return httpproxy.New(env, o.Options) }
