package dial

import (
	"net"
	"sync/atomic"
	"time"
)

// routeLife is for how long it is remembered whether there is a way.
const routeLife = 5 * time.Second

// Routes tells which addresses this machine has a way to. The zero Routes is
// ready.
type Routes struct {
	asked atomic.Int64 // when, in nanoseconds of Unix time; 0 for never
	ipv6  atomic.Bool
}

// IPv6 reports whether there is a way to the IPv6 Internet. That is asked of the
// kernel, without a datagram.
func (r *Routes) IPv6() bool {
	now := time.Now().UnixNano()
	if asked := r.asked.Load(); asked != 0 && now-asked < int64(routeLife) && now >= asked {
		return r.ipv6.Load()
	}
	// 2000::/3 is all global unicast (RFC 4291 §2.4).
	c, err := net.DialUDP("udp6", nil, &net.UDPAddr{IP: net.IP{0x20, 15: 1}, Port: 9})
	if err == nil {
		c.Close()
	}
	r.ipv6.Store(err == nil)
	r.asked.Store(now)
	return err == nil
}
