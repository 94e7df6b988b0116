//go:build !linux || portable

package netio

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

// UDPSocket is a UDP socket of package net: one datagram a system call, and a goroutine
// for each socket that receives. It is for systems other than Linux; the build tag
// "portable" selects it on Linux too, for tests.
type UDPSocket struct {
	conn  *net.UDPConn
	inet6 bool // the socket is of IPv6, and carries IPv4 too unless it is bound to an IPv6 address
	addr  netip.AddrPort
	close sync.Once
}

// OpenUDP opens a socket of both families on a port of the kernel's choice. It
// is for associations: it sends to targets and receives datagrams from any source.
func OpenUDP() (*UDPSocket, error) {
	return OpenUDPWith(SocketOptions{})
}

// OpenUDPWith is OpenUDP for a socket with options. A socket with a source address
// sends to the family of that address alone; two source addresses are an error.
func OpenUDPWith(o SocketOptions) (*UDPSocket, error) {
	network, at := "udp", ":0"
	switch err := o.checkPackets(); {
	case err != nil:
		return nil, err
	case o.Source4.IsValid() && o.Source6.IsValid():
		return nil, unsupported("source of both families for UDP")
	case o.Source4.IsValid():
		network, at = "udp4", netip.AddrPortFrom(o.Source4, 0).String()
	case o.Source6.IsValid():
		network, at = "udp6", netip.AddrPortFrom(o.Source6, 0).String()
	}
	conn, err := listenUDP(network, at, o)
	if err != nil {
		return nil, err
	}
	return newUDPSocket(conn, netip.AddrPort{}), nil
}

// listenUDP opens a socket of package net with options.
func listenUDP(network, at string, o SocketOptions) (*net.UDPConn, error) {
	if o.OriginalDestination {
		return nil, unsupported("original destination")
	}
	conn, err := (&net.ListenConfig{Control: o.Control}).ListenPacket(context.Background(), network, at)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// ListenUDP opens a socket on addr; with port 0 the kernel chooses the port. The
// unspecified IPv6 address stands for every address of both families.
func ListenUDP(addr netip.AddrPort) (*UDPSocket, error) {
	return ListenUDPWith(addr, SocketOptions{})
}

// ListenUDPWith is ListenUDP for a socket with options.
func ListenUDPWith(addr netip.AddrPort, o SocketOptions) (*UDPSocket, error) {
	if err := o.checkListen(); err != nil {
		return nil, err
	}
	at := addr.String()
	if addr.Addr() == netip.IPv6Unspecified() {
		at = ":" + strconv.Itoa(int(addr.Port()))
	}
	conn, err := listenUDP("udp", at, o)
	if err != nil {
		return nil, err
	}
	s := newUDPSocket(conn, addr)
	s.addr = netip.AddrPortFrom(addr.Addr(), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	return s, nil
}

func newUDPSocket(conn *net.UDPConn, addr netip.AddrPort) *UDPSocket {
	bound := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	return &UDPSocket{conn: conn, addr: addr, inet6: !bound.Is4()}
}

// Grow sets the socket's receive and send buffers to size bytes each, or to the
// system's limit.
func (s *UDPSocket) Grow(size int) {
	_ = s.conn.SetReadBuffer(size)
	_ = s.conn.SetWriteBuffer(size)
}

// Addr returns the bound address. It is not valid for a socket of OpenUDP.
func (s *UDPSocket) Addr() netip.AddrPort { return s.addr }

// Port returns the port that the socket sends from.
func (s *UDPSocket) Port() (uint16, error) {
	return s.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
}

// Receive passes arriving datagrams to sink from now on. It is called at most once.
// panicked is called if sink panics; that burst is lost.
func (s *UDPSocket) Receive(sink DatagramSink, panicked func(error)) error {
	go s.run(sink, panicked)
	return nil
}

// run reads until the socket is closed.
func (s *UDPSocket) run(sink DatagramSink, panicked func(error)) {
	memory := make([]byte, core.MaxDatagram+1)
	for {
		n, peer, err := s.conn.ReadFromUDPAddrPort(memory)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n > core.MaxDatagram {
			continue // the error of an earlier send
		}
		err = panics.Call(func() error {
			sink([]Datagram{{Peer: Unmap(peer), Data: memory[:n:n]}})
			return nil
		})
		if err != nil {
			panicked(err)
		}
	}
}

// send is Send, which counts in lost what the kernel did not accept.
func (s *UDPSocket) send(lost losses, ds []Datagram) (int, error) {
	sent := 0
	for _, d := range ds {
		if !d.Peer.IsValid() {
			lost.Drop(core.DropUnreachable, 1)
			continue
		}
		peer := d.Peer
		if s.inet6 && peer.Addr().Is4() {
			peer = netip.AddrPortFrom(netip.AddrFrom16(peer.Addr().As16()), peer.Port())
		}
		_, err := s.conn.WriteToUDPAddrPort(d.Data, peer)
		if errors.Is(err, net.ErrClosed) {
			return sent, err
		}
		if err != nil {
			lost.Drop(lossOf(err), 1)
			continue
		}
		sent++
	}
	return sent, nil
}

// Close closes the socket. It may be called again.
func (s *UDPSocket) Close() (err error) {
	s.close.Do(func() { err = s.conn.Close() })
	return err
}
