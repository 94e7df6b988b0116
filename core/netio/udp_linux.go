//go:build linux && !portable

package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"golang.org/x/sys/unix"
)

// UDPSocket is a UDP socket that moves many datagrams a system call: recvmmsg and
// sendmmsg, and, if the kernel supports it, segmentation of one large message into
// datagrams (UDP GSO) and the reverse (GRO). A poller of this package drives the
// socket, not the poller of Go's runtime: an idle socket costs no goroutine, and a busy
// socket no switch between goroutines.
type UDPSocket struct {
	fd      int
	inet6   bool // the socket is of IPv6, and carries IPv4 too unless it is bound to an IPv6 address
	choose  bool // Datagram.Local is set and obeyed: the socket is bound to every address, or has a source address
	options SocketOptions
	addr    netip.AddrPort
	segment atomic.Int32 // largest datagram that the kernel may segment into; 0 without GSO

	mu     sync.RWMutex // read-locked during system calls, so that a closed descriptor is never used
	closed bool         // guarded by mu

	poller *poller
	slot   int

	// Used by the poller alone.
	batched bool   // the socket is read many messages at a time, with GRO
	round   uint64 // the poller's round of the last read
	streak  int    // successive rounds with datagrams
	burst   int    // messages of the last read

	sink     DatagramSink
	panicked func(error)
}

// OpenUDP opens a socket of both families on a port of the kernel's choice. It
// is for associations: it sends to targets and receives datagrams from any source.
func OpenUDP() (*UDPSocket, error) {
	return OpenUDPWith(SocketOptions{})
}

// OpenUDPWith is OpenUDP for a socket with options.
func OpenUDPWith(o SocketOptions) (*UDPSocket, error) {
	if err := o.checkPackets(); err != nil {
		return nil, err
	}
	return openUDP(netip.AddrPort{}, o)
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
	return openUDP(addr, o)
}

func openUDP(addr netip.AddrPort, o SocketOptions) (*UDPSocket, error) {
	s := &UDPSocket{inet6: !addr.Addr().Is4(), options: o, choose: o.hasSource()}
	family := unix.AF_INET
	if s.inet6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) && ofBothFamilies(addr) { // a kernel without IPv6
		s.inet6 = false
		if addr.IsValid() {
			addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		}
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s.fd = fd
	if err := s.prepare(addr); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// ofBothFamilies reports whether a socket on addr carries IPv4 and IPv6: addr is the
// unspecified IPv6 address, or not valid.
func ofBothFamilies(addr netip.AddrPort) bool {
	return !addr.IsValid() || addr.Addr() == netip.IPv6Unspecified()
}

// prepare sets the socket's options and binds it.
func (s *UDPSocket) prepare(addr netip.AddrPort) error {
	if s.inet6 {
		only := 1
		if ofBothFamilies(addr) {
			only = 0
		}
		if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if unix.SetsockoptInt(s.fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 0) == nil { // a kernel without GSO sends single datagrams
		s.segment.Store(core.MaxDatagram)
	}
	if err := s.options.set(s.fd, s.inet6); err != nil {
		return err
	}
	if s.options.OriginalDestination {
		if err := s.recvOriginal(); err != nil {
			return fmt.Errorf("socket option original destination: %w", os.NewSyscallError("setsockopt", err))
		}
	}
	if !addr.IsValid() {
		return nil // the kernel binds the socket at the first send
	}
	if addr.Addr().IsUnspecified() {
		if s.inet6 {
			s.choose = unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) == nil
		} else {
			s.choose = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1) == nil
		}
	}
	if err := unix.Bind(s.fd, s.sockaddr(addr)); err != nil {
		return os.NewSyscallError("bind", err)
	}
	port, err := boundPort(s.fd)
	s.addr = netip.AddrPortFrom(addr.Addr(), port)
	return err
}

// boundPort returns the port of a socket; 0 for one that is not bound.
func boundPort(fd int) (uint16, error) {
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	switch sa := bound.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port), nil
	case *unix.SockaddrInet6:
		return uint16(sa.Port), nil
	}
	return 0, nil
}

// Port returns the port that the socket sends from. A socket that has sent nothing is
// bound to a port first.
func (s *UDPSocket) Port() (uint16, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	if port, err := boundPort(s.fd); port != 0 || err != nil {
		return port, err
	}
	any := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if s.inet6 {
		any = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	if err := unix.Bind(s.fd, s.sockaddr(any)); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	return boundPort(s.fd)
}

// recvOriginal makes the kernel report the original destination of each datagram. On an
// IPv6 socket the option of IPv4 reports it for datagrams over IPv4.
func (s *UDPSocket) recvOriginal() error {
	if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_RECVORIGDSTADDR, 1); err != nil || !s.inet6 {
		return err
	}
	return unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVORIGDSTADDR, 1)
}

// Grow sets the socket's receive and send buffers to size bytes each, or to the
// system's limit.
func (s *UDPSocket) Grow(size int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return
	}
	for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o[0], size) != nil {
			_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o[1], size) // the system's limit applies
		}
	}
}

func (s *UDPSocket) sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if !s.inet6 {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16(), ZoneId: zoneID(ap.Addr().Zone())}
}

// zoneID returns the number of a zone. In an address from the kernel the zone is a
// number already.
func zoneID(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil || zone == "" {
		return uint32(n)
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(ifi.Index)
}

// Addr returns the bound address. It is not valid for a socket of OpenUDP.
func (s *UDPSocket) Addr() netip.AddrPort { return s.addr }

// Receive passes arriving datagrams to sink from now on. It is called at most once.
// panicked is called if sink panics; that burst is lost.
func (s *UDPSocket) Receive(sink DatagramSink, panicked func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.sink, s.panicked = sink, panicked
	return pollers.add(s)
}

// Close closes the socket. It may be called again.
func (s *UDPSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	pollers.remove(s)
	return os.NewSyscallError("close", unix.Close(s.fd))
}
