package netio

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

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

	captures atomic.Int64              // inbounds to which firewall rules may send what this process dials
	dials    map[netip.AddrPort]*dials // that are under way; guarded by mu
}

// dials are those to one address.
type dials struct {
	count int
	ended chan struct{} // closed when all of them have ended
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

// Capture counts an inbound, by n = 1 and at its end -1, to which firewall rules may send
// whatever this process dials. While there are any, all connections are remembered.
func (l *Loops) Capture(n int64) { l.captures.Add(n) }

// Dialling notes that a connection to an address is about to be dialled. It returns what is
// called once Dialled has been.
func (l *Loops) Dialling(to netip.AddrPort) (ended func()) {
	if l == nil || l.captures.Load() == 0 {
		return func() {}
	}
	to = Unmap(to)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dials == nil {
		l.dials = map[netip.AddrPort]*dials{}
	}
	d := l.dials[to]
	if d == nil {
		d = &dials{ended: make(chan struct{})}
		l.dials[to] = d
	}
	d.count++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if d.count--; d.count == 0 {
			delete(l.dials, to)
			close(d.ended)
		}
	}
}

// awaitDials is how long Await waits.
const awaitDials = time.Second

// Await returns once the connections to an address that are being dialled have ended, or
// after a second. A connection that a rule has sent back may be accepted before it is known
// to have been dialled.
func (l *Loops) Await(to netip.AddrPort) {
	l.mu.Lock()
	d := l.dials[Unmap(to)]
	l.mu.Unlock()
	if d == nil {
		return
	}
	timer := time.NewTimer(awaitDials)
	defer timer.Stop()
	select {
	case <-d.ended:
	case <-timer.C:
	}
}

// Dialled remembers a connection of a request until the request has ended, if it leads
// to a listener of this process, or may.
func (l *Loops) Dialled(r *core.Request, conn *net.TCPConn) {
	if l == nil || r.Passed == nil || r.Flow == nil || !l.mayComeBack(RemoteAddr(conn)) {
		return
	}
	if local, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		l.remember(r, loopKey{core.TCP, Unmap(local.AddrPort())})
	}
}

// mayComeBack reports whether a connection to an address may lead to a listener of this
// process.
func (l *Loops) mayComeBack(to netip.AddrPort) bool {
	sockets := l.process.Load()
	return l.captures.Load() > 0 || sockets.Own(to.Addr()) && sockets.Has(core.TCP, to)
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
