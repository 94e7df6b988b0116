package netio

import (
	"errors"
	"fmt"
	"net/netip"
)

// SocketOptions are the socket options that a file can set. The zero SocketOptions
// sets no option and costs no system call. Systems other than Linux support only the
// source addresses; the other options return an errors.ErrUnsupported there.
// SocketOptions can be compared.
type SocketOptions struct {
	// Transparent lets the socket receive connections and datagrams to addresses of
	// other machines, which a TPROXY rule redirects to the socket, and lets the socket
	// be bound to such an address (IP_TRANSPARENT). It needs CAP_NET_ADMIN.
	Transparent bool
	// FreeBind lets the socket be bound to an address that this machine does not have
	// yet (IP_FREEBIND).
	FreeBind bool
	// Mark is the firewall mark of all packets that the socket sends (SO_MARK); 0 for
	// none. It needs CAP_NET_ADMIN.
	Mark uint32
	// Interface is the name of the network interface that the socket is bound to
	// (SO_BINDTODEVICE); "" for none.
	Interface string

	// FastOpen has a TCP connection that is dialled send its first bytes in the SYN, once
	// the kernel knows that the target takes them there (TCP_FASTOPEN_CONNECT). Then it
	// connects at once, and a failure is that of the first write.
	FastOpen bool

	// Source4 and Source6 are the source addresses of connections that are dialled and
	// of datagrams from OpenUDPWith. If the address of a family is not valid, the
	// kernel chooses. A listening socket has neither.
	Source4, Source6 netip.Addr

	// OriginalDestination sets Datagram.Original to the destination of each datagram
	// that a listening UDP socket receives (IP_RECVORIGDSTADDR). TCP needs no option
	// for that: see the function OriginalDestination.
	OriginalDestination bool
}

// Source returns the source address for connections and datagrams to an address. The
// result is not valid if the kernel chooses.
func (o SocketOptions) Source(to netip.Addr) netip.Addr {
	if to.Unmap().Is4() {
		return o.Source4
	}
	return o.Source6
}

// check returns an error if a source address is of the wrong family.
func (o SocketOptions) check() error {
	switch {
	case o.Source4.IsValid() && !o.Source4.Is4():
		return fmt.Errorf("socket option source: %s is no IPv4 address", o.Source4)
	case o.Source6.IsValid() && (!o.Source6.Is6() || o.Source6.Is4In6()):
		return fmt.Errorf("socket option source: %s is no IPv6 address", o.Source6)
	}
	return nil
}

// checkListen returns an error for options that a listening socket can't have.
func (o SocketOptions) checkListen() error {
	if o.hasSource() {
		return errors.New("socket option source: a listening socket sends from its own address")
	}
	return nil
}

// checkPackets returns an error if a source address can't be the source of datagrams:
// a link-local address also needs an interface.
func (o SocketOptions) checkPackets() error {
	for _, ip := range []netip.Addr{o.Source4, o.Source6} {
		if ip.IsLinkLocalUnicast() || ip.IsMulticast() {
			return fmt.Errorf("socket option source: UDP can't be sent from %s, want an address with global or private scope", ip)
		}
	}
	return o.check()
}

func (o SocketOptions) hasSource() bool { return o.Source4.IsValid() || o.Source6.IsValid() }

// serves reports whether a bound socket with the options o serves a lease with the options
// want.
func (o SocketOptions) serves(want SocketOptions) bool {
	o.FreeBind = want.FreeBind
	return o == want
}

// errOtherOptions returns the error of a lease whose options differ from those of the
// socket, which is bound already.
func errOtherOptions(addr netip.AddrPort, have, want SocketOptions) error {
	return fmt.Errorf("listen on %s: this process listens there with other socket options: have %+v, want %+v", addr, have, want)
}
