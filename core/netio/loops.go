package netio

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
)

// Loops finds requests that come back to this process: it remembers the sockets from which
// the process dials its own listeners, and which pipelines the request of each has passed.
// A request that comes to a pipeline a second time is a loop, which would take all
// descriptors. The zero Loops, and nil, find none.
type Loops struct {
	process atomic.Pointer[SocketSet]
	count   atomic.Int64 // of sockets, so that a request of other clients takes no lock
	mu      sync.Mutex
	from    map[loopKey][]*core.Passed // guarded by mu
}

// loopKey is the address of a socket as a listener sees it. That of a UDP socket, which
// is not bound to an address, is its port alone.
type loopKey struct {
	network core.Network
	local   netip.AddrPort
}

// LoopsOf returns the Loops of a process.
func LoopsOf(p *core.Process) *Loops {
	l := core.Shared[Loops](p)
	l.process.Store(SocketsOf(p))
	return l
}

// Dialled remembers a connection of a request until the request has ended, if it leads
// to a listener of this process.
func (l *Loops) Dialled(r *core.Request, conn *net.TCPConn) {
	if l == nil || r.Passed == nil || r.Flow == nil || !l.process.Load().Has(core.TCP, RemoteAddr(conn)) {
		return
	}
	if local, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		l.remember(r, loopKey{core.TCP, Unmap(local.AddrPort())})
	}
}

// Sends is Dialled for a UDP socket that is about to send to an address. It reports
// whether the socket was remembered.
func (l *Loops) Sends(r *core.Request, socket *UDPSocket, to netip.AddrPort) bool {
	if l == nil || r.Passed == nil || r.Flow == nil || !l.process.Load().Has(core.UDP, to) {
		return false
	}
	port, err := socket.Port()
	if err != nil {
		return false
	}
	l.remember(r, loopKey{core.UDP, netip.AddrPortFrom(netip.Addr{}, port)})
	return true
}

func (l *Loops) remember(r *core.Request, key loopKey) {
	passed := r.Passed
	l.count.Add(1)
	l.mu.Lock()
	if l.from == nil {
		l.from = map[loopKey][]*core.Passed{}
	}
	l.from[key] = append(l.from[key], passed)
	l.mu.Unlock()
	r.Flow.OnEnd(func() { l.forget(key, passed) })
}

func (l *Loops) forget(key loopKey, passed *core.Passed) {
	defer l.count.Add(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.from[key]
	for i, p := range all {
		if p == passed {
			all = append(all[:i], all[i+1:]...)
			break
		}
	}
	if len(all) == 0 {
		delete(l.from, key)
		return
	}
	l.from[key] = all
}

// Enter sets r.Passed as the request comes to a pipeline, whose own Passed is given. If it
// has passed that pipeline already, Enter returns an ErrDenied. A local address can have
// connections to several listeners at once; it is a loop if that is so for each of them.
func (l *Loops) Enter(r *core.Request, pipeline *core.Passed) error {
	r.Passed = pipeline
	if l == nil || l.count.Load() == 0 {
		return nil
	}
	// Not r.Network: a SOCKS5 client asks for an association by a TCP connection, and a UDP
	// socket of this process may have the same number for its port.
	key := loopKey{r.Client.Network, r.Client.Addr}
	if key.network == core.UDP {
		if !l.process.Load().Own(r.Client.Addr.Addr()) {
			return nil
		}
		key.local = netip.AddrPortFrom(netip.Addr{}, r.Client.Addr.Port())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.from[key]
	if len(before) == 0 {
		return nil
	}
	r.Passed = &core.Passed{Pipeline: pipeline.Pipeline, Before: before[0]}
	for _, p := range before {
		if !p.Has(pipeline.Pipeline) {
			return nil
		}
	}
	return fmt.Errorf("%w: the request has passed pipeline.%s already: a loop through this process", core.ErrDenied, pipeline.Pipeline)
}
