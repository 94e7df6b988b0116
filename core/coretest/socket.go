package coretest

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// AnyPort is a loopback address with a port of the kernel's choice.
var AnyPort = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)

// Target is a documentation address, to which no test connects.
var Target = core.AddrFrom(netip.MustParseAddrPort("192.0.2.1:80"))

// Addr parses a target.
func Addr(t testing.TB, s string) core.Addr {
	t.Helper()
	a, err := core.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Descriptors returns how many descriptors the process has open, or 0 if the system does
// not report that.
func Descriptors() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}

// Hurry sets a deadline on a connection, so that it can't block the test for long.
func Hurry(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
}

func DialTCP(t testing.TB, at netip.AddrPort, text string) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(Patience))
	if text != "" {
		Write(t, c, []byte(text))
	}
	return c
}

// Name returns a host name of n bytes, 1 to 253, in labels as long as can be.
func Name(n int) string {
	b := []byte(strings.Repeat("a", n))
	for i := 63; i < n-1; i += 64 {
		b[i] = '.'
	}
	return string(b)
}
