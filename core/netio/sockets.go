package netio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
)

// SocketSet holds the listening sockets of the process and leases them by address, so
// that a reload keeps serving an address and refuses no client in between. The zero
// SocketSet is empty and ready.
type SocketSet struct {
	mu      sync.Mutex
	open    map[netip.AddrPort]*socket       // of TCP; guarded by mu
	packets map[netip.AddrPort]*packetSocket // of UDP; guarded by mu
	own     ownAddrs
}

// SocketsOf returns the listening sockets of a process.
func SocketsOf(p *core.Process) *SocketSet { return core.Shared[SocketSet](p) }

// socket is one listening socket. One goroutine accepts connections, from the first
// Serve of a lease to the Close of the last lease, and passes each connection to the
// lease that called Serve last.
type socket struct {
	ln      *net.TCPListener
	key     netip.AddrPort // in SocketSet.open
	options SocketOptions
	addr    netip.AddrPort           // the bound address
	leases  int                      // guarded by SocketSet.mu
	number  int                      // of the last lease; guarded by SocketSet.mu
	owner   atomic.Pointer[Listener] // set under SocketSet.mu
	start   sync.Once
	served  chan struct{}  // capacity 1: receives a value for each new owner
	done    sync.WaitGroup // the accepting goroutine
	closed  chan struct{}
}

// Acceptor takes over the connections that a Listener accepts.
type Acceptor interface {
	// AcceptConn takes over a connection. It must not block: the next connection is
	// accepted after AcceptConn has returned.
	AcceptConn(c *net.TCPConn)
	// AcceptError receives the error of a failed accept, after which accepting is
	// tried again.
	AcceptError(err error)
}

// Listener is a lease of a listening socket.
type Listener struct {
	set      *SocketSet
	sock     *socket
	number   int // later leases of a socket have higher ones
	acceptor Acceptor
	close    sync.Once
	closed   chan struct{}

	mu    sync.Mutex // held while a connection is passed on; after SocketSet.mu
	ended bool       // guarded by mu
}

// Listen leases the socket on addr. If this process has no socket on addr, Listen binds
// one. The unspecified IPv6 address stands for every address of both families. No
// connection is accepted before Serve.
func (s *SocketSet) Listen(ctx context.Context, addr netip.AddrPort) (*Listener, error) {
	return s.ListenWith(ctx, addr, SocketOptions{})
}

// ListenWith is Listen for a socket with options. All leases of an address must have
// the same options, but for FreeBind, which matters to the bind alone.
func (s *SocketSet) ListenWith(ctx context.Context, addr netip.AddrPort, o SocketOptions) (*Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sock := s.open[addr]
	switch {
	case sock == nil:
		ln, err := bind(ctx, addr, o)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		sock = &socket{ln: ln, key: addr, options: o, addr: ln.Addr().(*net.TCPAddr).AddrPort(), served: make(chan struct{}, 1), closed: make(chan struct{})}
		if s.open == nil {
			s.open = map[netip.AddrPort]*socket{}
		}
		s.open[addr] = sock
	case !sock.options.serves(o):
		return nil, errOtherOptions(addr, sock.options, o)
	}
	sock.leases++
	sock.number++
	return &Listener{set: s, sock: sock, number: sock.number, closed: make(chan struct{})}, nil
}

// bind opens a listening socket. Keep-alive is set once, on the listening socket, if
// accepted connections inherit the setting.
func bind(ctx context.Context, addr netip.AddrPort, o SocketOptions) (*net.TCPListener, error) {
	if err := o.checkListen(); err != nil {
		return nil, err
	}
	host := addr.Addr().String()
	if addr.Addr() == netip.IPv6Unspecified() {
		host = ""
	}
	lc := net.ListenConfig{KeepAliveConfig: KeepAlive()}
	if inheritsKeepAlive {
		lc = net.ListenConfig{KeepAlive: -1, Control: listenKeepAlive}
	}
	if set := lc.Control; o != (SocketOptions{}) {
		lc.Control = func(network, address string, c syscall.RawConn) error {
			if err := o.Control(network, address, c); err != nil || set == nil {
				return err
			}
			return set(network, address, c)
		}
	}
	lc.SetMultipathTCP(false) // Multipath TCP costs time and is not used
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(addr.Port()))))
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// Ports returns the TCP ports of the listening sockets. A port may occur twice.
func (s *SocketSet) Ports() []uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ports []uint16
	for _, sock := range s.open {
		ports = append(ports, sock.addr.Port())
	}
	return ports
}

// Has reports whether the process listens on ap: on that address, or on every address
// if ap is an address of this machine.
func (s *SocketSet) Has(network core.Network, ap netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if network == core.UDP {
		for _, sock := range s.packets {
			if s.covers(sock.udp.Addr(), ap) {
				return true
			}
		}
		return false
	}
	for _, sock := range s.open {
		if s.covers(sock.addr, ap) {
			return true
		}
	}
	return false
}

// Own reports whether ip is an address of this machine. Addresses that are added to an
// interface are known within a second.
func (s *SocketSet) Own(ip netip.Addr) bool { return s.own.has(ip.Unmap()) }

// covers reports whether a socket bound to at receives connections and datagrams to
// ap. mu is held.
func (s *SocketSet) covers(at, ap netip.AddrPort) bool {
	return at.Port() == ap.Port() && (at.Addr().Unmap() == ap.Addr() || at.Addr().IsUnspecified() && s.own.has(ap.Addr()))
}

// Addr returns the listening address.
func (l *Listener) Addr() netip.AddrPort { return l.sock.addr }

// Serve passes each connection to a, until Close, or until a later lease of the same
// socket calls Serve.
func (l *Listener) Serve(a Acceptor) {
	l.own(a)
	<-l.closed
}

// own makes l the socket's owner, unless it has ended or a later lease owns the
// socket already.
func (l *Listener) own(a Acceptor) {
	l.set.mu.Lock()
	defer l.set.mu.Unlock()
	l.mu.Lock()
	ended := l.ended
	l.acceptor = a
	l.mu.Unlock()
	if now := l.sock.owner.Load(); ended || now != nil && now.number > l.number {
		return
	}
	l.sock.owner.Store(l)
	select {
	case l.sock.served <- struct{}{}:
	default: // a value is queued already
	}
	l.sock.start.Do(func() { l.sock.done.Go(l.sock.acceptAll) })
}

// Close ends the lease; it is safe to call twice. The socket is closed with its
// last lease.
func (l *Listener) Close() {
	l.close.Do(func() {
		l.set.mu.Lock()
		l.mu.Lock()
		l.ended = true
		l.mu.Unlock()
		close(l.closed)
		l.sock.leases--
		last := l.sock.leases == 0
		if last {
			delete(l.set.open, l.sock.key)
			close(l.sock.closed)
			l.sock.ln.Close()
		}
		l.set.mu.Unlock()
		if last {
			l.sock.done.Wait()
		}
	})
}
