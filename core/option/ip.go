package option

import (
	"fmt"
	"net/netip"
)

// IP is one IP address, without a zone.
type IP struct{ netip.Addr }

// UnmarshalText reads an IPv4 or IPv6 address.
func (i *IP) UnmarshalText(text []byte) error {
	ip, err := netip.ParseAddr(string(text))
	if err != nil || ip.Zone() != "" {
		return fmt.Errorf("%q is not an IP address; write %q or %q", text, "192.0.2.1", "2001:db8::1")
	}
	i.Addr = ip.Unmap()
	return nil
}

// Type returns what such an option is called.
func (IP) Type() string { return "address" }

// Example returns one.
func (IP) Example() string { return "192.0.2.1" }
