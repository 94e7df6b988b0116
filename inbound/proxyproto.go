package inbound

import (
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// ProxyProtocol are the keys of an inbound behind a balancer that sends the addresses of
// its clients in PROXY headers, version 1 or 2.
type ProxyProtocol struct {
	Trusted []option.Prefix `toml:"trusted" required:"true" help:"the balancers' ranges or addresses; other senders are dropped like clients without a valid request"`
	Timeout option.Duration `toml:"timeout" default:"5s" min:">0s" help:"how long a balancer may take over its header"`
}

// check validates the options.
func (o ProxyProtocol) check() error {
	switch {
	case len(o.Trusted) == 0:
		return core.BadOption("proxy_protocol.trusted", "empty; give the addresses of the balancers")
	case o.Timeout <= 0:
		return core.BadOption("proxy_protocol.timeout", "%s is not positive", o.Timeout)
	}
	return nil
}

// newFront returns the Front that o describes, or nil if o is nil.
func newFront(o *ProxyProtocol) Front {
	if o == nil {
		return nil
	}
	f := &front{timeout: o.Timeout.Std()}
	for _, p := range o.Trusted {
		f.trusted = append(f.trusted, p.Prefix)
	}
	return f
}

// front is a set of balancers that send PROXY headers.
type front struct {
	trusted []netip.Prefix
	timeout time.Duration
}

// Trusts reports whether sender is one of the balancers.
func (f *front) Trusts(sender netip.Addr) bool {
	sender = sender.WithZone("") // prefixes have no zone
	for _, p := range f.trusted {
		if p.Contains(sender) {
			return true
		}
	}
	return false
}

// ReadClient reads a header and returns its source address.
func (f *front) ReadClient(conn core.Stream) (netip.AddrPort, error) {
	header, err := readHeader(conn)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return parseHeader(header)
}

// Timeout returns how long a balancer may take to send its header.
func (f *front) Timeout() time.Duration { return f.timeout }
