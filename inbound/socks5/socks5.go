// Package socks5 is the inbound of SOCKS5.
package socks5

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/inbound/socks"
)

// Options are the keys of an [inbound.x] table of kind socks5.
type Options struct {
	_ core.About `help:"SOCKS5 for programs on this machine, or, with users, on others"`
	socks.Options
}

// New returns the inbound. Its errors name the key to correct.
func New(env core.Env, o Options) (core.Inbound, error) { return socks.New(env, o.Options) }
