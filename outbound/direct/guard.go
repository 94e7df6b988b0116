package direct

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// guard refuses addresses that are neither public nor allowed, this machine's own unless
// they are allowed, and the listeners of this process, which would be a loop. It always
// refuses the unspecified address, which the kernel treats as this machine. Of an IPv6
// address that has an IPv4 address inside, the IPv4 address is judged.
func (d *Outbound) guard(_ context.Context, network core.Network, to netip.AddrPort) error {
	ip := to.Addr()
	if ip.IsUnspecified() {
		return fmt.Errorf("%w: %s is not a public address and can't be allowed", core.ErrDenied, ip)
	}
	if !d.from.has(ip) {
		return fmt.Errorf("%w: %s: from has no source address of its family", core.ErrDenied, ip)
	}
	inside := d.nat64.Inside(ip)
	if len(inside.IPs()) == 0 {
		if !isPublic(ip) && !d.allowed(ip) {
			return fmt.Errorf("%w: %s is not a public address; add it to allow", core.ErrDenied, ip)
		}
		return d.foreign(network, to, to)
	}
	for _, v4 := range inside.IPs() {
		switch {
		case isPublic(v4) || d.allowed(v4):
		case inside.Unclear:
			return fmt.Errorf("%w: %s is not a public address: the IPv4 address inside is not clear; add the prefix of this network's NAT64 to nat64 in [process]", core.ErrDenied, ip)
		default:
			return fmt.Errorf("%w: %s leads to %s, which is not a public address; add %[3]s to allow", core.ErrDenied, ip, v4)
		}
		if err := d.foreign(network, netip.AddrPortFrom(v4, to.Port()), to); err != nil {
			return err
		}
	}
	return d.foreign(network, to, to)
}

// foreign refuses the listeners and the own addresses of this machine. to is the target
// that leads to ap.
func (d *Outbound) foreign(network core.Network, ap, to netip.AddrPort) error {
	if d.sockets.Has(network, ap) {
		return fmt.Errorf("%w: %s is an inbound of this process", core.ErrDenied, to)
	}
	if !d.allowed(ap.Addr()) && d.sockets.Own(ap.Addr()) {
		return fmt.Errorf("%w: %s is an address of this machine; add %s to allow", core.ErrDenied, to.Addr(), ap.Addr())
	}
	return nil
}

// allowed reports whether the file allows an address.
func (d *Outbound) allowed(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range d.allow {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
