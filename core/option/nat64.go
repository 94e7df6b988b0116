package option

import (
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// NAT64 is a prefix of a NAT64: "64:ff9b:1:fffe::/96".
type NAT64 struct{ netip.Prefix }

// UnmarshalText reads an IPv6 range of a length that RFC 6052 has.
func (p *NAT64) UnmarshalText(text []byte) error {
	var r Prefix
	if err := r.UnmarshalText(text); err != nil {
		return err
	}
	if !core.CheckNAT64(r.Prefix) {
		return fmt.Errorf("%q is no prefix of a NAT64; write an IPv6 range of 32, 40, 48, 56, 64 or 96 bits, such as %q", text, p.Example())
	}
	p.Prefix = r.Prefix
	return nil
}

// Type returns what such an option is called.
func (NAT64) Type() string { return "NAT64 prefix" }

// Example returns one.
func (NAT64) Example() string { return "64:ff9b:1:fffe::/96" }

// Prefixes returns the ranges of a list.
func Prefixes(list []NAT64) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, p.Prefix)
	}
	return all
}
