package netio

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
)

// packetSocket is one UDP socket that serves clients. Received datagrams go to the
// lease that called Serve last.
type packetSocket struct {
	udp     *UDPSocket
	key     netip.AddrPort // in SocketSet.packets
	options SocketOptions
	leases  map[int]struct{}               // numbers of the open leases; guarded by SocketSet.mu
	number  int                            // of the last lease; guarded by SocketSet.mu
	owner   atomic.Pointer[PacketListener] // set under SocketSet.mu
	begun   bool                           // the socket receives; guarded by SocketSet.mu
	served  *sync.Cond                     // of SocketSet.mu; signalled when a lease serves or ends
}

// PacketListener is a lease of a UDP socket that serves clients.
type PacketListener struct {
	set    *SocketSet
	sock   *packetSocket
	number int // later leases of a socket have higher ones
	sink   DatagramSink
	failed func(error)
	closed chan struct{}
	busy   sync.Mutex // held during a call of sink; not under SocketSet.mu
	ended  bool       // guarded by SocketSet.mu
	gone   bool       // the socket was closed with this lease; guarded by SocketSet.mu
}

// ListenPackets leases the UDP socket on addr, as Listen does for TCP. The kernel
// buffers the datagrams that arrive before the first Serve.
func (s *SocketSet) ListenPackets(ctx context.Context, addr netip.AddrPort) (*PacketListener, error) {
	return s.ListenPacketsWith(ctx, addr, SocketOptions{})
}

// ListenPacketsWith is ListenPackets for a socket with options. All leases of an
// address must have the same options, but for FreeBind, which matters to the bind alone.
func (s *SocketSet) ListenPacketsWith(_ context.Context, addr netip.AddrPort, o SocketOptions) (*PacketListener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sock := s.packets[addr]
	switch {
	case sock == nil:
		udp, err := ListenUDPWith(addr, o)
		if err != nil {
			return nil, fmt.Errorf("listen on %s, UDP: %w", addr, err)
		}
		udp.Grow(listenBuffer)
		sock = &packetSocket{udp: udp, key: addr, options: o, leases: map[int]struct{}{}, served: sync.NewCond(&s.mu)}
		if s.packets == nil {
			s.packets = map[netip.AddrPort]*packetSocket{}
		}
		s.packets[addr] = sock
	case !sock.options.serves(o):
		return nil, errOtherOptions(addr, sock.options, o)
	}
	sock.number++
	sock.leases[sock.number] = struct{}{}
	return &PacketListener{set: s, sock: sock, number: sock.number, closed: make(chan struct{})}, nil
}

// receive passes a burst to the owner. If the socket has no owner, the burst is lost.
func (s *packetSocket) receive(ds []Datagram) {
	l := s.owner.Load()
	if l == nil {
		return
	}
	l.busy.Lock()
	defer l.busy.Unlock()
	l.sink(ds)
}

// failed notifies the owner that the owner's sink has panicked.
func (s *packetSocket) failed(err error) {
	if l := s.owner.Load(); l != nil {
		l.failed(err)
	}
}

// hasAfter reports whether there is a lease with a number higher than n.
// SocketSet.mu is held.
func (s *packetSocket) hasAfter(n int) bool {
	for number := range s.leases {
		if number > n {
			return true
		}
	}
	return false
}

// Addr returns the listening address.
func (l *PacketListener) Addr() netip.AddrPort { return l.sock.udp.Addr() }

// Socket returns the socket, for sending. The socket is open until its last lease
// ends.
func (l *PacketListener) Socket() *UDPSocket { return l.sock.udp }

// Serve passes received datagrams to sink, until Close, or until a later lease of the
// same socket calls Serve. failed is called if sink panics; that burst is lost.
func (l *PacketListener) Serve(sink DatagramSink, failed func(error)) error {
	if err := l.own(sink, failed); err != nil {
		return err
	}
	<-l.closed
	return nil
}

// own makes l the socket's owner, unless it has ended or a later lease owns the
// socket already.
func (l *PacketListener) own(sink DatagramSink, failed func(error)) error {
	l.set.mu.Lock()
	defer l.set.mu.Unlock()
	l.sink, l.failed = sink, failed
	if now := l.sock.owner.Load(); l.ended || now != nil && now.number > l.number {
		return nil
	}
	l.sock.owner.Store(l)
	l.sock.served.Broadcast()
	if l.sock.begun {
		return nil
	}
	err := l.sock.udp.Receive(l.sock.receive, l.sock.failed)
	l.sock.begun = err == nil
	return err
}

// Close ends the lease; it is safe to call twice. It reports whether the socket was
// closed too, as the end of the last lease does. If the socket has a later lease,
// Close waits until the later lease serves, or ends too: until then this lease serves
// the clients. Close must not be called from within the sink.
func (l *PacketListener) Close() (gone bool) {
	l.set.mu.Lock()
	if l.ended {
		defer l.set.mu.Unlock()
		return l.gone
	}
	l.ended = true
	delete(l.sock.leases, l.number)
	l.sock.served.Broadcast()
	for l.sock.owner.Load() == l && l.sock.hasAfter(l.number) {
		l.sock.served.Wait()
	}
	gone = len(l.sock.leases) == 0
	if gone && l.set.packets[l.sock.key] == l.sock {
		delete(l.set.packets, l.sock.key)
		l.sock.udp.Close()
	}
	l.gone = gone
	close(l.closed)
	l.set.mu.Unlock()
	l.busy.Lock() // a call of the sink in progress is served to its end
	defer l.busy.Unlock()
	return gone
}
