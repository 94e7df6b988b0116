package option

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// NameServer is a DNS server and how it is asked: "8.8.8.8" by UDP, and by TCP
// where an answer is too long for UDP; "tcp://8.8.8.8" by TCP alone;
// "tls://1.1.1.1" by DNS over TLS; "https://dns.example/dns-query" by DNS over
// HTTPS. A port may follow the host.
type NameServer struct {
	scheme string
	addr   core.Addr
	path   string // of https, from the slash on
}

// defaultPorts are those of RFC 1035, RFC 7858 and RFC 8484.
var defaultPorts = map[string]uint16{"udp": 53, "tcp": 53, "tls": 853, "https": 443}

// UnmarshalText reads one of the forms.
func (n *NameServer) UnmarshalText(text []byte) error {
	s := string(text)
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "udp", s
	}
	port, known := defaultPorts[scheme]
	if !known {
		return fmt.Errorf("%q begins with an unknown scheme; write %q, %q, %q or %q", s,
			"8.8.8.8", "tcp://8.8.8.8", "tls://1.1.1.1", "https://dns.example/dns-query")
	}
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	switch {
	case scheme != "https" && path != "":
		return fmt.Errorf("%q has a path, which only https:// can have", s)
	case scheme == "https" && path == "":
		return fmt.Errorf("%q has no path; most servers have %q", s, "https://"+host+"/dns-query")
	}
	if err := checkPath(s, path); err != nil {
		return err
	}
	addr, err := hostPort(host, port)
	if err != nil {
		return fmt.Errorf("%q is not a DNS server: %w", s, err)
	}
	*n = NameServer{scheme, addr, path}
	return nil
}

// checkPath checks the path of a URL.
func checkPath(s, path string) error {
	if strings.ContainsAny(path, "{}?#") {
		return fmt.Errorf("%q has more than a path behind the host; questions are sent by POST, so leave it out", s)
	}
	if u, err := url.ParseRequestURI(path); path != "" && (err != nil || u.RequestURI() != path) {
		return fmt.Errorf("%q has a path that is not valid in a URL", s)
	}
	return nil
}

// hostPort reads a host with or without a port, an IPv6 address with or without
// brackets.
func hostPort(s string, port uint16) (core.Addr, error) {
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		if ip.Zone() != "" {
			return core.Addr{}, errors.New("an address with a zone")
		}
		return core.NewIPAddr(ip, port), nil
	}
	host, service := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, service = strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]"), s[i+1:]
		var err error
		if port, err = parsePort(service); err != nil {
			return core.Addr{}, err
		}
	}
	addr, err := core.NewAddr(host, port)
	if err != nil {
		return core.Addr{}, errors.New(strings.TrimPrefix(err.Error(), core.ErrMalformed.Error()+": "))
	}
	return addr, nil
}

// Type returns what such an option is called.
func (NameServer) Type() string { return "DNS server" }

// Example returns one.
func (NameServer) Example() string { return "tls://1.1.1.1" }

// Scheme returns "udp", "tcp", "tls" or "https".
func (n NameServer) Scheme() string { return n.scheme }

// Addr returns the server's host and port.
func (n NameServer) Addr() core.Addr { return n.addr }

// URL returns where questions are posted, for https.
func (n NameServer) URL() string {
	return "https://" + n.addr.String() + n.path
}

// String returns the form that UnmarshalText reads, with its scheme and without
// the scheme's own port.
func (n NameServer) String() string {
	if !n.addr.IsValid() {
		return ""
	}
	host := n.addr.Host()
	if n.addr.IP().Is6() {
		host = "[" + host + "]"
	}
	if port := n.addr.Port(); port != defaultPorts[n.scheme] {
		host += ":" + strconv.Itoa(int(port))
	}
	return n.scheme + "://" + host + n.path
}
