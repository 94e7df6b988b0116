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
// such as http.Server calls Accept in a loop that does nothing else.
const netQueue = 128

// ListenNet leases the socket on addr as a net.Listener, for software that accepts by
// itself, such as http.Server. The first Accept takes the socket over from an earlier
// lease; a later lease of any sort takes it over from this one.
//
// Connections wait in a queue of 128, so that the socket, which leases share, never
// waits for Accept. A connection that finds the queue full is closed. Queued
// connections stay in the queue when a later lease takes over. Close passes them to a
// later lease that serves by then, and closes them if no later lease serves.
//
// An http.Server drops a request that it reads after its Shutdown has begun. To lose
// no request, call Shutdown when a later lease serves and the connections before that
// lease have ended.
//
// failed, which may be nil, is called with the error of each failed accept, after
// which accepting is tried again, and with an error for each connection that is closed
// because the queue is full. It must not block. Accept returns no error but
// net.ErrClosed.
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
	queue  chan *net.TCPConn // capacity netQueue; when it is full, new connections are closed
}

var (
	_ net.Listener = (*netListener)(nil)
	_ Acceptor     = (*netListener)(nil)
)

// Accept returns the next connection, a *net.TCPConn.
func (n *netListener) Accept() (net.Conn, error) {
	n.start.Do(func() { n.lease.own(n) })
	select {
	case <-n.lease.closed: // Close empties the queue
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
	n.lease.Close() // no connection enters the queue afterwards
	for {
		select {
		case conn := <-n.queue:
			if next := n.lease.sock.owner.Load(); next == n.lease || !next.accept(conn) {
				conn.Close()
			}
		default:
			return nil
		}
	}
}

// Addr returns the listening address, a *net.TCPAddr.
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

// AcceptError calls failed with the error of a failed accept.
func (n *netListener) AcceptError(err error) { n.failed(err) }
