package core

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxName is the longest host name in bytes, without its trailing dot
// (RFC 1035 §2.3.4: 255 on the wire of DNS, which is 253 as text).
const MaxName = 253

// Addr is a target: a host name or an IP address, and a port. The zero Addr is
// not valid. Addrs are comparable and hold no mapped IPv4 address and no name
// that is an IP literal, so equal targets have equal Addrs.
type Addr struct {
	name string
	ip   netip.Addr
	port uint16
}

// NewAddr returns the Addr of a host name or an IP literal. It returns
// ErrMalformed for a literal with a zone, and for a name that is no host name:
// letters, digits, hyphen and underscore in labels of 1 to 63 bytes, MaxName
// bytes in all and one trailing dot at most. Numeric forms that only old C
// libraries read ("127.1", "0x7f.1") stay names.
func NewAddr(host string, port uint16) (Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return AddrFrom(netip.AddrPortFrom(ip, port)), nil
	}
	if err := checkName(host); err != nil {
		return Addr{}, err
	}
	return Addr{name: host, port: port}, nil
}

// AddrFrom returns the Addr of an IP address and port. It unmaps an IPv4
// address mapped into IPv6 and drops a zone.
func AddrFrom(ap netip.AddrPort) Addr {
	return Addr{ip: ap.Addr().Unmap().WithZone(""), port: ap.Port()}
}

// NewIPAddr returns the Addr of an IP address and port, under the rule of
// AddrFrom.
func NewIPAddr(ip netip.Addr, port uint16) Addr { return AddrFrom(netip.AddrPortFrom(ip, port)) }

// ParseAddr reads "host:port" or "[ipv6]:port". The host must not be empty.
func ParseAddr(s string) (Addr, error) {
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		return Addr{}, fmt.Errorf("%w: %q is not a host:port", ErrMalformed, s)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return Addr{}, fmt.Errorf("%w: port %q is not a number from 0 to 65535", ErrMalformed, service)
	}
	return NewAddr(host, uint16(port))
}

// Name returns the host name, or "" if the host is an IP address.
func (a Addr) Name() string { return a.name }

// IP returns the IP address; it is not valid if the host is a name.
func (a Addr) IP() netip.Addr { return a.ip }

// Port returns the port.
func (a Addr) Port() uint16 { return a.port }

// WithPort returns a with another port.
func (a Addr) WithPort(port uint16) Addr {
	a.port = port
	return a
}

// IsValid reports whether a has a host.
func (a Addr) IsValid() bool { return a.name != "" || a.ip.IsValid() }

// AddrPort returns the IP address and port; it is not valid if the host is a
// name.
func (a Addr) AddrPort() netip.AddrPort { return netip.AddrPortFrom(a.ip, a.port) }

// Host returns the name or the IP address as text.
func (a Addr) Host() string {
	if a.name != "" {
		return a.name
	}
	return a.ip.String()
}

// String returns "host:port", an IPv6 address in brackets.
func (a Addr) String() string {
	return net.JoinHostPort(a.Host(), strconv.Itoa(int(a.port)))
}

// checkName reports why name is no host name.
func checkName(name string) error {
	trimmed := strings.TrimSuffix(name, ".")
	if trimmed == "" {
		return fmt.Errorf("%w: empty host name", ErrMalformed)
	}
	if len(trimmed) > MaxName {
		return fmt.Errorf("%w: host name of %d bytes, the most is %d", ErrMalformed, len(trimmed), MaxName)
	}
	label := 0
	for i := range len(trimmed) {
		switch c := trimmed[i]; {
		case c == '.':
			if label == 0 {
				return fmt.Errorf("%w: host name %q has an empty label", ErrMalformed, name)
			}
			label = 0
		case isNameByte(c):
			if label++; label > 63 {
				return fmt.Errorf("%w: host name %q has a label of over 63 bytes", ErrMalformed, name)
			}
		default:
			return fmt.Errorf("%w: host name %q has %s", ErrMalformed, name, badCharacter(trimmed[i:]))
		}
	}
	if label == 0 {
		return fmt.Errorf("%w: host name %q has an empty label", ErrMalformed, name)
	}
	return nil
}

// badCharacter describes the character at the beginning of s that no host name has.
func badCharacter(s string) string {
	switch r, size := utf8.DecodeRuneInString(s); {
	case r == utf8.RuneError && size <= 1:
		return fmt.Sprintf("the byte 0x%02x", s[0])
	case r >= utf8.RuneSelf:
		return fmt.Sprintf("the character %q; its form for DNS begins with xn--", r)
	default:
		return fmt.Sprintf("the character %q", r)
	}
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
