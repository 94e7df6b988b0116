package socks

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// atypDomain is the type of an address that is a name (RFC 1928 §5).
const atypDomain = 3

// decode decodes the address that b begins with.
type decode func(b []byte) (core.Addr, int, error)

// target decodes an address as d does, and takes two kinds of names that programs send for
// what they are: an IPv6 address in brackets, and a name in UTF-8, whose ASCII form
// (RFC 5891) is looked up.
func (d decode) target(b []byte) (core.Addr, int, error) {
	a, n, err := d(b)
	if n == 0 || !errors.Is(err, core.ErrMalformed) || b[0] != atypDomain {
		return a, n, err
	}
	host, ok := hostOf(string(b[2 : n-2]))
	if !ok || len(host) > 255 {
		return a, n, err
	}
	meant := append([]byte{atypDomain, byte(len(host))}, host...)
	a, _, err = socksaddr.Decode(append(meant, b[n-2:n]...))
	return a, n, err
}

// hostOf returns the host that name is a way to write, and false if it is none of the ways
// that decode.target takes.
func hostOf(name string) (string, bool) {
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return inner, ok && strings.Contains(inner, ":") // "[192.0.2.1]" is no form of an address
	}
	if !utf8.ValidString(name) {
		return "", false
	}
	ascii, err := idna.Lookup.ToASCII(name)
	return ascii, err == nil && ascii != name
}
