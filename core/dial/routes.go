package dial

import (
	"net"
	"sync/atomic"
	"time"
)

// routeLife is how long the result of a route lookup is cached.
const routeLife = 5 * time.Second

// Routes reports which address families this machine has a route for. The zero Routes
// is ready.
type Routes struct {
	checked atomic.Int64 // time of the last lookup, in nanoseconds of Unix time; 0 for never
	ipv6    atomic.Bool
}

// IPv6 reports whether the kernel has a route to the IPv6 Internet. The route lookup
// sends no datagram.
func (r *Routes) IPv6() bool {
	now := time.Now().UnixNano()
	if checked := r.checked.Load(); checked != 0 && now-checked < int64(routeLife) && now >= checked {
		return r.ipv6.Load()
	}
	// 2000::/3 is all global unicast (RFC 4291 §2.4).
	c, err := net.DialUDP("udp6", nil, &net.UDPAddr{IP: net.IP{0x20, 15: 1}, Port: 9})
	if err == nil {
		c.Close()
	}
	r.ipv6.Store(err == nil)
	r.checked.Store(now)
	return err == nil
}
