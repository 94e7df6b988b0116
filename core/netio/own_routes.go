package netio

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// mostRoutes bounds the answers that ownRoutes caches, about 32 KiB.
const mostRoutes = 256

// ownRoutes finds the addresses of this machine by its routes, where they can't be
// listed: the source of packets to an own address is that address. The zero ownRoutes is
// ready.
type ownRoutes struct {
	source func(netip.Addr) (netip.Addr, error) // sourceTo, but in tests

	mu    sync.Mutex
	known map[netip.Addr]ownRoute // the answers of the last ownLife, at most mostRoutes; guarded by mu
}

// ownRoute is the answer for one address.
type ownRoute struct {
	own     bool
	queried time.Time
}

// back reports whether packets to ip come back to this machine. It is cautious: where the
// system can't say, for want of descriptors or memory, they do. Only answers of the system
// are cached.
func (r *ownRoutes) back(ip netip.Addr) bool {
	now := time.Now()
	r.mu.Lock()
	known, ok := r.known[ip]
	r.mu.Unlock()
	if ok && now.Sub(known.queried) < ownLife {
		return known.own
	}
	source := sourceTo
	if r.source != nil {
		source = r.source
	}
	from, err := source(ip)
	if err != nil && !isNoRoute(err) {
		return true
	}
	own := err == nil && from.WithZone("") == ip.WithZone("")
	r.keep(ip, ownRoute{own, now})
	return own
}

// keep caches an answer. It makes room by the answers that have expired, and if there are
// none, by any.
func (r *ownRoutes) keep(ip netip.Addr, answer ownRoute) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[netip.Addr]ownRoute{}
	}
	if len(r.known) >= mostRoutes {
		for old, a := range r.known {
			if answer.queried.Sub(a.queried) >= ownLife {
				delete(r.known, old)
			}
		}
	}
	for old := range r.known {
		if len(r.known) < mostRoutes {
			break
		}
		delete(r.known, old)
	}
	r.known[ip] = answer
}

// sourceTo returns the source address of packets to ip. It sends none.
func sourceTo(ip netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 9)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// isNoRoute reports whether err says that this machine sends nothing to an address: there
// is no route, a route forbids it (EACCES, EINVAL), or the machine lacks the family.
func isNoRoute(err error) bool {
	for _, e := range []error{
		syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EINVAL, syscall.EACCES, syscall.ENETDOWN,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
