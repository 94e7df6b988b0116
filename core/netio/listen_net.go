package netio

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// netQueue is how many connections of a net.Listener may wait for Accept. A server
// such as http.Server calls it in a loop that does nothing else.
const netQueue = 128

// ListenNet leases the socket on addr as a net.Listener, for software that accepts by
// itself, such as http.Server. The first Accept takes the socket over from an earlier
// lease; a later lease of any sort takes it over from this one.
//
// Connections wait in a queue of 128, so that the socket, which leases share, never
// waits for Accept. One that finds the queue full is closed. Those in the queue stay
// there when a later lease takes over. Close passes them on to a later lease that
// serves by then, and closes them where there is none.
//
// An http.Server drops a request that it reads after its Shutdown has begun. To lose
// none, begin that when a later lease serves and the connections before it have ended.
//
// failed, which may be nil, is told of each accept that failed, after which accepting
// is tried again, and of connections that are closed because the queue is full. It
// must not block. Accept itself returns no error but net.ErrClosed.
func (s *SocketSet) ListenNet(ctx context.Context, addr netip.AddrPort, o SocketOptions, failed func(error)) (net.Listener, error) {
	lease, err := s.ListenWith(ctx, addr, o)
	if err != nil {
		return nil, err
	}
	if failed == nil {
		failed = func(error) {}
	}
	return &netListener{lease: lease, failed: failed, queue: make(chan *net.TCPConn, netQueue)}, nil
}

// netListener is a lease as a net.Listener.
type netListener struct {
	lease  *Listener
	failed func(error)
	start  sync.Once
	queue  chan *net.TCPConn // capacity netQueue; what comes to a full one is closed
}

var (
	_ net.Listener = (*netListener)(nil)
	_ Acceptor     = (*netListener)(nil)
)

// Accept returns the next connection, a *net.TCPConn.
func (n *netListener) Accept() (net.Conn, error) {
	n.start.Do(func() { n.lease.own(n) })
	select {
	case <-n.lease.closed: // what is in the queue is Close's
		return nil, n.closedError()
	default:
	}
	select {
	case conn := <-n.queue:
		return conn, nil
	case <-n.lease.closed:
		return nil, n.closedError()
	}
}

func (n *netListener) closedError() error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: n.Addr(), Err: net.ErrClosed}
}

// Close ends the lease. It may be called again.
func (n *netListener) Close() error {
	n.lease.Close() // nothing is put into the queue after that
	for {
		select {
		case conn := <-n.queue:
			if next := n.lease.sock.owner.Load(); next == n.lease || !next.take(conn) {
				conn.Close()
			}
		default:
			return nil
		}
	}
}

// Addr returns the address that is listened on, a *net.TCPAddr.
func (n *netListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(n.lease.Addr()) }

// AcceptConn puts a connection into the queue.
func (n *netListener) AcceptConn(conn *net.TCPConn) {
	select {
	case n.queue <- conn:
	default:
		conn.Close()
		n.failed(fmt.Errorf("%w: %d connections wait to be accepted on %s", core.ErrCrowded, netQueue, n.lease.Addr()))
	}
}

// AcceptError passes on why an accept failed.
func (n *netListener) AcceptError(err error) { n.failed(err) }
