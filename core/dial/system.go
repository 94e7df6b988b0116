package dial

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// OneOf returns the address of ips for a remote server to dial, if only one can be sent:
// the first IPv4 address or, if there is none, the first address. IPv4 is preferred
// because this process can't know whether the remote server has a route to IPv6. ips
// must not be empty.
func OneOf(ips []netip.Addr) netip.Addr {
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip
		}
	}
	return ips[0]
}

// OwnName resolves names that no server may be queried for: localhost and the names
// under it are loopback (RFC 6761 §6.3); names under invalid (§6.4) and, outside of Tor,
// onion (RFC 7686) don't exist. It returns false for other names.
func OwnName(name string) (ips []netip.Addr, ok bool, err error) {
	name = strings.TrimSuffix(name, ".")
	switch last := name[strings.LastIndexByte(name, '.')+1:]; {
	case strings.EqualFold(last, "localhost"):
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, true, nil
	case strings.EqualFold(last, "invalid"), strings.EqualFold(last, "onion"):
		return nil, true, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return nil, false, nil
}

// SystemResolver resolves names by the operating system. The zero value is ready.
type SystemResolver struct{}

var _ core.Teller = SystemResolver{}

// LookupIP returns the IPv4 and IPv6 addresses of a name. The name is treated as fully
// qualified: search domains are not applied. For the names of OwnName the operating
// system is not queried.
func (SystemResolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	if ips, ok, err := OwnName(name); ok {
		return ips, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(name, ".")+".")
	if err != nil {
		return nil, err
	}
	for i, ip := range ips {
		ips[i] = ip.Unmap()
	}
	return ips, nil
}

// Tell returns the addresses with the operating system as their source.
func (s SystemResolver) Tell(ctx context.Context, name string) ([]core.Found, error) {
	ips, err := s.LookupIP(ctx, name)
	found := make([]core.Found, len(ips))
	for i, ip := range ips {
		found[i] = core.Found{IP: ip, From: "the operating system"}
	}
	return found, err
}
