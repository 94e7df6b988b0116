package option

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// Listen is an address to listen on: "127.0.0.1:1080", "[::1]:1080", or ":8388"
// for every address of the machine.
type Listen struct{ addr netip.AddrPort }

// UnmarshalText reads an IP address, or nothing, and a port from 1 to 65535.
func (l *Listen) UnmarshalText(text []byte) error {
	s := string(text)
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an address to listen on; write %q, %q or %q", s, "127.0.0.1:1080", "[::1]:1080", ":8388")
	}
	port, err := parsePort(service)
	if err != nil {
		return err
	}
	if host == "" {
		l.addr = netip.AddrPortFrom(netip.IPv6Unspecified(), port)
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("%q is not an IP address; listen needs one, or nothing before the colon for every address", host)
	}
	l.addr = netip.AddrPortFrom(ip.Unmap(), port)
	return nil
}

// Type returns what such an option is called.
func (Listen) Type() string { return "address and port" }

// Example returns one.
func (Listen) Example() string { return "127.0.0.1:1080" }

// AddrPort returns the address; for ":port" it is the unspecified IPv6 address,
// on which a socket serves IPv4 too.
func (l Listen) AddrPort() netip.AddrPort { return l.addr }

// IsValid reports whether l was set.
func (l Listen) IsValid() bool { return l.addr.IsValid() }

// String returns the form that UnmarshalText reads.
func (l Listen) String() string {
	switch {
	case !l.addr.IsValid():
		return ""
	case l.addr.Addr() == netip.IPv6Unspecified():
		return ":" + strconv.Itoa(int(l.addr.Port()))
	}
	return l.addr.String()
}

// Conflicts reports whether l and m can't both be listened on: the same port on
// the same address, or on every address.
func (l Listen) Conflicts(m Listen) bool {
	if l.addr.Port() != m.addr.Port() {
		return false
	}
	a, b := l.addr.Addr(), m.addr.Addr()
	return a == b || covers(a, b) || covers(b, a)
}

// covers reports whether a socket on the unspecified address a takes what is
// sent to b.
func covers(a, b netip.Addr) bool {
	return a == netip.IPv6Unspecified() || a == netip.IPv4Unspecified() && b.Is4()
}

// Server is the address of a server to dial: "example.net:8388",
// "192.0.2.1:8388" or "[2001:db8::1]:8388".
type Server struct{ addr core.Addr }

// UnmarshalText reads a host name or an IP address and a port from 1 to 65535.
func (s *Server) UnmarshalText(text []byte) error {
	host, service, err := net.SplitHostPort(string(text))
	if err != nil || host == "" {
		return fmt.Errorf("%q is not a server address; write %q or %q", text, "example.net:8388", "[2001:db8::1]:8388")
	}
	port, err := parsePort(service)
	if err != nil {
		return err
	}
	addr, err := core.NewAddr(host, port)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), core.ErrMalformed.Error()+": "))
	}
	s.addr = addr
	return nil
}

// Type returns what such an option is called.
func (Server) Type() string { return "host and port" }

// Example returns one.
func (Server) Example() string { return "example.net:8388" }

// Addr returns the address.
func (s Server) Addr() core.Addr { return s.addr }

// String returns the form that UnmarshalText reads.
func (s Server) String() string {
	if !s.addr.IsValid() {
		return ""
	}
	return s.addr.String()
}

func parsePort(s string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", s)
	}
	return uint16(port), nil
}
