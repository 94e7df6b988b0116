package option

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// Listen is an address to listen on: "127.0.0.1:1080", "[::1]:1080", ":8388" for every
// address of the machine, or a name for all addresses that it has: "localhost:1080".
type Listen struct {
	addr netip.AddrPort // of a name: its port
	name string
}

// ListenList is a list of addresses to listen on. A file may give one address in place of
// the list.
type ListenList []Listen

// UnmarshalText reads an IP address, a host name, or nothing, and a port from 1 to 65535.
func (l *Listen) UnmarshalText(text []byte) error {
	s := string(text)
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an address to listen on; write %q, %q, %q or %q", s, "127.0.0.1:1080", "[::1]:1080", ":8388", "localhost:1080")
	}
	port, err := parsePort(service)
	if err != nil {
		return err
	}
	if host == "" {
		*l = Listen{addr: netip.AddrPortFrom(netip.IPv6Unspecified(), port)}
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		*l = Listen{addr: netip.AddrPortFrom(ip.Unmap(), port)}
		return nil
	}
	if _, err := core.NewAddr(host, port); err != nil || isNumeric(host) {
		return fmt.Errorf("%q is not an IP address and not a name; listen needs one, or nothing before the colon for every address", host)
	}
	*l = Listen{addr: netip.AddrPortFrom(netip.Addr{}, port), name: host}
	return nil
}

// isNumeric reports whether the last label of a name is a number. A name that ends so is
// an IPv4 address that is written wrong.
func isNumeric(name string) bool {
	name = strings.TrimSuffix(name, ".")
	_, err := strconv.ParseUint(name[strings.LastIndexByte(name, '.')+1:], 0, 64)
	return err == nil
}

// Type returns what such an option is called.
func (Listen) Type() string { return "address and port" }

// Example returns one.
func (Listen) Example() string { return "127.0.0.1:1080" }

// TakesOne says that a file may give one address in place of the list.
func (ListenList) TakesOne() {}

// AddrPort returns the address; for ":port" it is the unspecified IPv6 address, on which a
// socket serves IPv4 too. For a name it is not valid.
func (l Listen) AddrPort() netip.AddrPort {
	if l.name != "" {
		return netip.AddrPort{}
	}
	return l.addr
}

// Name returns the name, or "" for an address.
func (l Listen) Name() string { return l.name }

// Port returns the port.
func (l Listen) Port() uint16 { return l.addr.Port() }

// Known returns the addresses that are known without a lookup: the address itself and,
// for localhost and the names under it, the loopback addresses of both families
// (RFC 6761 §6.3). For other names it returns nil.
func (l Listen) Known() []netip.AddrPort {
	last := strings.TrimSuffix(l.name, ".")
	last = last[strings.LastIndexByte(last, '.')+1:]
	switch {
	case l.name == "" && l.addr.IsValid():
		return []netip.AddrPort{l.addr}
	case strings.EqualFold(last, "localhost"):
		return []netip.AddrPort{
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), l.Port()),
			netip.AddrPortFrom(netip.IPv6Loopback(), l.Port()),
		}
	}
	return nil
}

// IsLoopback reports whether only this machine can reach the address. Of a name that
// nobody has looked up it is not known, so IsLoopback returns false.
func (l Listen) IsLoopback() bool {
	known := l.Known()
	for _, at := range known {
		if !at.Addr().IsLoopback() {
			return false
		}
	}
	return len(known) > 0
}

// IsValid reports whether l was set.
func (l Listen) IsValid() bool { return l.addr.IsValid() || l.name != "" }

// String returns the form that UnmarshalText reads.
func (l Listen) String() string {
	switch {
	case l.name != "":
		return net.JoinHostPort(l.name, strconv.Itoa(int(l.Port())))
	case !l.addr.IsValid():
		return ""
	case l.addr.Addr() == netip.IPv6Unspecified():
		return ":" + strconv.Itoa(int(l.Port()))
	}
	return l.addr.String()
}

// Conflicts reports whether it is known that l and m can't both be listened on: the same
// port on the same address or name, or on every address.
func (l Listen) Conflicts(m Listen) bool {
	if l.Port() != m.Port() || !l.IsValid() || !m.IsValid() {
		return false
	}
	if l.name != "" && strings.EqualFold(l.name, m.name) || l.isEvery() || m.isEvery() {
		return true
	}
	for _, a := range l.Known() {
		for _, b := range m.Known() {
			if a.Addr() == b.Addr() || covers(a.Addr(), b.Addr()) || covers(b.Addr(), a.Addr()) {
				return true
			}
		}
	}
	return false
}

// isEvery reports whether l is every address of both families.
func (l Listen) isEvery() bool { return l.addr.Addr() == netip.IPv6Unspecified() }

// covers reports whether a socket on the unspecified address a takes what is
// sent to b.
func covers(a, b netip.Addr) bool {
	return a == netip.IPv6Unspecified() || a == netip.IPv4Unspecified() && b.Is4()
}
