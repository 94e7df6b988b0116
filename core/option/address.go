package option

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

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
