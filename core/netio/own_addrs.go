package netio

import (
	"net"
	"net/netip"
	"time"
)

// ownLife is for how long the addresses of this machine are remembered: whoever
// names our port to many targets must not have the system asked for each.
const ownLife = time.Second

// ownAddrs knows the addresses of this machine. The zero ownAddrs is ready.
type ownAddrs struct {
	all   map[netip.Addr]struct{} // nil if they can't be known
	asked time.Time
}

// has reports whether ip is an address of this machine.
func (o *ownAddrs) has(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	if now := time.Now(); o.asked.IsZero() || now.Sub(o.asked) >= ownLife {
		o.all, o.asked = askOwnAddrs(), now
	}
	if o.all == nil {
		return true // rather refuse than loop
	}
	_, own := o.all[ip]
	return own
}

// askOwnAddrs asks the system.
func askOwnAddrs() map[netip.Addr]struct{} {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	all := make(map[netip.Addr]struct{}, len(addrs))
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				all[ip.Unmap()] = struct{}{}
			}
		}
	}
	return all
}
