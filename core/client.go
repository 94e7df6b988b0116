package core

import "net/netip"

// A Suspect is the address of a client whose handshake failed, as a log attribute. A
// log handler may write it in the place and form that tools which ban clients expect.
type Suspect struct{ netip.AddrPort }

// SourceOf returns the prefix that counts as one client: an IPv4 address, or the /64
// of an IPv6 address, which is what a provider assigns to one customer.
func SourceOf(client netip.Addr) netip.Prefix {
	bits := client.BitLen()
	if client.Is6() {
		bits = 64
	}
	p, _ := client.Prefix(bits)
	return p
}

// sharedByCarriers are the addresses that gateways of providers share (RFC 6598).
var sharedByCarriers = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)

// IsPrivate reports whether the address of a client is of a private network, so that a
// balancer, a container network or a gateway may stand behind it for many clients.
func IsPrivate(client netip.Addr) bool {
	client = client.Unmap()
	return client.IsPrivate() || client.IsLoopback() || client.IsLinkLocalUnicast() || sharedByCarriers.Contains(client)
}

// Client is who connects, before its first byte is read.
type Client struct {
	Addr    netip.AddrPort // the client's own, IPv4 unmapped
	Network Network        // by which it reached the inbound
	Inbound string         // name of the inbound's table

	// Unattributed says that a balancer passed the connection on without naming
	// a client: it is the balancer's own, such as a health check, or its client
	// has no address. Addr is the balancer's then, which must not be counted,
	// limited or banned; gates are neither asked nor notified.
	Unattributed bool
}
