package dial

import (
	"context"
	"github.com/umbra-proxy/umbra/core"
	"net"
	"net/netip"
	"strings"
)

// OneOf returns the address for somebody else to dial, who gets only one: the first of
// IPv4 or, where there is none, the first. Whether there is a way to IPv6 over there,
// nobody knows here. There is at least one.
func OneOf(ips []netip.Addr) netip.Addr {
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip
		}
	}
	return ips[0]
}

// OwnName answers for names that no server may be asked about: localhost and the
// names under it are loopback (RFC 6761 §6.3), and there is none under invalid
// (§6.4) and, outside of Tor, onion (RFC 7686). It returns false for other names.
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

// SystemResolver asks the operating system. The zero value is ready.
type SystemResolver struct{}

var _ core.Teller = SystemResolver{}

// LookupIP asks for IPv4 and IPv6 addresses. The name is taken as fully
// qualified: search domains are not applied. OwnName's names are not asked for.
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

// Tell says that the operating system said so.
func (s SystemResolver) Tell(ctx context.Context, name string) ([]core.Found, error) {
	ips, err := s.LookupIP(ctx, name)
	found := make([]core.Found, len(ips))
	for i, ip := range ips {
		found[i] = core.Found{IP: ip, From: "the operating system"}
	}
	return found, err
}
