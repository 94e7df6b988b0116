package httpproxy

import (
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/inbound"
)

// Options are the keys of an inbound that is an HTTP proxy alone. A kind embeds them in its
// own options.
type Options struct {
	inbound.StreamOptions
	inbound.UserOptions
	HeadOptions
}

// HeadOptions are the keys of an inbound that serves HTTP, beside those that others have.
type HeadOptions struct {
	MaxHead int `toml:"max_head" default:"65536" min:"4096" max:"1048576" help:"how many bytes the head of an HTTP request, or of an answer, may have"`
}

// New returns the inbound. Without users it returns an error for an address that other
// machines can reach, unless o allows that; then it logs a warning.
func New(env core.Env, o Options) (core.Inbound, error) {
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultTimeout
	}
	users, err := o.Open(env, o.Listen)
	if err != nil {
		return nil, err
	}
	h, err := NewHandshaker(users, o.HeadOptions)
	if err != nil {
		return nil, err
	}
	return inbound.New(env, o.StreamOptions.Options(), h)
}

// NewHandshaker returns the Handshaker of an HTTP proxy for users. Its errors name the key to
// correct.
func NewHandshaker(users inbound.Users, o HeadOptions) (inbound.Handshaker, error) {
	for name := range users.Names() {
		if strings.Contains(name, ":") {
			return nil, core.BadOption("users", "user %q: a name in HTTP has no colon", name)
		}
	}
	return &handshaker{users, o.MaxHead}, nil
}
