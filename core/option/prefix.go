package option

import (
	"fmt"
	"net/netip"
)

// Prefix is a range of addresses: "10.0.0.0/8", "fd00::/8", or one address.
type Prefix struct{ netip.Prefix }

// UnmarshalText reads a CIDR range whose address has no bits beyond the
// prefix, or a single address.
func (p *Prefix) UnmarshalText(text []byte) error {
	s := string(text)
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		p.Prefix = netip.PrefixFrom(ip, ip.BitLen())
		return nil
	}
	v, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is not an address range; write %q or %q", s, "10.0.0.0/8", "fd00::/8")
	}
	if v.Addr().Is4In6() {
		return fmt.Errorf("%q mixes IPv4 and IPv6; write the IPv4 range alone", s)
	}
	if v != v.Masked() {
		return fmt.Errorf("%q has bits beyond its prefix; did you mean %q?", s, v.Masked().String())
	}
	p.Prefix = v
	return nil
}

// Type returns what such an option is called.
func (Prefix) Type() string { return "address range" }

// Example returns one.
func (Prefix) Example() string { return "10.0.0.0/8" }
