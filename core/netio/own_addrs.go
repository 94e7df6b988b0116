package netio

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// ownLife is how long the addresses of this machine are cached. The cache bounds the
// system calls that requests cause.
const ownLife = time.Second

// ownAddrs caches the addresses of this machine. The zero ownAddrs is ready.
type ownAddrs struct {
	now    atomic.Pointer[ownSnapshot]
	query  sync.Mutex // held by the one that queries
	routes ownRoutes  // where the addresses can't be listed
}

// ownSnapshot are the addresses of this machine at one time.
type ownSnapshot struct {
	all     map[netip.Addr]struct{} // nil if the system returned an error
	queried time.Time
}

// has reports whether ip is an address of this machine.
func (o *ownAddrs) has(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	s := o.snapshot()
	if s.all == nil {
		return o.routes.back(ip)
	}
	_, own := s.all[ip.WithZone("")]
	return own
}

// snapshot returns addresses that are not older than ownLife.
func (o *ownAddrs) snapshot() *ownSnapshot {
	if s := o.now.Load(); s.fresh() {
		return s
	}
	o.query.Lock()
	defer o.query.Unlock()
	s := o.now.Load()
	if !s.fresh() {
		s = &ownSnapshot{all: queryOwnAddrs(), queried: time.Now()}
		o.now.Store(s)
	}
	return s
}

func (s *ownSnapshot) fresh() bool { return s != nil && time.Since(s.queried) < ownLife }

// queryOwnAddrs returns the addresses of this machine, or nil on an error: a service
// that may not open netlink sockets can't list them.
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
