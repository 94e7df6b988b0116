package netio

import (
	"net"
	"net/netip"
	"time"
)

// ownLife is how long the addresses of this machine are cached. The cache bounds the
// system calls of a client that requests many targets with the port of a listener.
const ownLife = time.Second

// ownAddrs caches the addresses of this machine. The zero ownAddrs is ready.
type ownAddrs struct {
	all     map[netip.Addr]struct{} // nil if the system returned an error
	queried time.Time
}

// has reports whether ip is an address of this machine.
func (o *ownAddrs) has(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	if now := time.Now(); o.queried.IsZero() || now.Sub(o.queried) >= ownLife {
		o.all, o.queried = queryOwnAddrs(), now
	}
	if o.all == nil {
		return true // a refusal is better than a loop
	}
	_, own := o.all[ip]
	return own
}

// queryOwnAddrs returns the addresses of this machine, or nil on an error.
func queryOwnAddrs() map[netip.Addr]struct{} {
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
