// Package mixed is the inbound of SOCKS4, SOCKS4a, SOCKS5 and HTTP on one port. The first
// byte of a client says which it speaks.
package mixed

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/inbound"
	"github.com/umbra-proxy/umbra/inbound/httpproxy"
	"github.com/umbra-proxy/umbra/inbound/socks"
)

// Options are the keys of an [inbound.x] table of kind mixed.
type Options struct {
	_ core.About `help:"SOCKS4, SOCKS4a, SOCKS5 and HTTP on one port, for programs on this machine, or, with users, on others"`
	socks.Options
	httpproxy.HeadOptions
}

// New returns the inbound. Its errors name the key to correct.
func New(env core.Env, o Options) (core.Inbound, error) {
	if !o.Mode.Streams() {
		return nil, core.BadOption("mode", "HTTP and SOCKS4 are TCP; write \"both\" or %q, or use the kind socks5", core.TCP)
	}
	users, err := o.Open(env, o.Listen)
	if err != nil {
		return nil, err
	}
	http, err := httpproxy.NewHandshaker(users, o.HeadOptions)
	if err != nil {
		return nil, err
	}
	others := map[byte]inbound.Handshaker{socks.Version4: socks.NewFour(users, o.Mode)}
	for c := byte('A'); c <= 'Z'; c++ { // of a method
		others[c] = http
	}
	return socks.NewAmong(env, o.Options, users, others)
}
