package netio

import (
	"errors"
	"fmt"
	"net/netip"
)

// SocketOptions are what a socket asks of the system beyond the usual. The zero
// SocketOptions asks for nothing and costs no system call. Systems other than Linux
// know the source addresses alone; there the rest is an errors.ErrUnsupported.
// SocketOptions can be compared.
type SocketOptions struct {
	// Transparent lets the socket take connections and datagrams to addresses that
	// are not this machine's, as a TPROXY rule gives them to it, and be bound to such
	// an address (IP_TRANSPARENT). It needs CAP_NET_ADMIN.
	Transparent bool
	// FreeBind lets the socket be bound to an address that this machine does not have
	// yet (IP_FREEBIND).
	FreeBind bool
	// Mark is the firewall mark of all that the socket sends (SO_MARK); 0 for none. It
	// needs CAP_NET_ADMIN.
	Mark uint32
	// Interface is the name of the network interface that the socket is bound to
	// (SO_BINDTODEVICE); "" for none.
	Interface string

	// Source4 and Source6 are the source addresses of connections that are dialled and
	// of datagrams from OpenUDPWith. Where a family has none, the kernel chooses. A
	// socket that listens has neither.
	Source4, Source6 netip.Addr

	// OriginalDestination has a UDP socket that listens tell in Datagram.Original where
	// each datagram was sent (IP_RECVORIGDSTADDR). TCP needs no option for that: see
	// OriginalDestination.
	OriginalDestination bool
}

// Source returns the source address for what goes to an address, which is not valid
// where the kernel chooses.
func (o SocketOptions) Source(to netip.Addr) netip.Addr {
	if to.Unmap().Is4() {
		return o.Source4
	}
	return o.Source6
}

// check reports source addresses of the wrong family.
func (o SocketOptions) check() error {
	switch {
	case o.Source4.IsValid() && !o.Source4.Is4():
		return fmt.Errorf("socket option source: %s is no IPv4 address", o.Source4)
	case o.Source6.IsValid() && (!o.Source6.Is6() || o.Source6.Is4In6()):
		return fmt.Errorf("socket option source: %s is no IPv6 address", o.Source6)
	}
	return nil
}

// checkListen reports what a socket that listens can't have.
func (o SocketOptions) checkListen() error {
	if o.hasSource() {
		return errors.New("socket option source: a socket that listens has its own address")
	}
	return nil
}

// checkPackets reports what the source of datagrams can't be: the kernel would need
// to be told of an interface beside it.
func (o SocketOptions) checkPackets() error {
	for _, ip := range []netip.Addr{o.Source4, o.Source6} {
		if ip.IsLinkLocalUnicast() || ip.IsMulticast() {
			return fmt.Errorf("socket option source: UDP can't be sent from %s, want an address with global or private scope", ip)
		}
	}
	return o.check()
}

func (o SocketOptions) hasSource() bool { return o.Source4.IsValid() || o.Source6.IsValid() }

// errOtherOptions is the error of a lease that asks for other options than those of
// the socket, which is bound already.
func errOtherOptions(addr netip.AddrPort, have, want SocketOptions) error {
	return fmt.Errorf("listen on %s: this process listens there with other socket options: have %+v, want %+v", addr, have, want)
}
