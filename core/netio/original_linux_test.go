package netio_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/test/peer"
)

// foreign has what is sent to ranges for documentation come back to this machine, as
// to a router that has it passed to it.
func foreign(t *testing.T) {
	t.Helper()
	peer.Command(t, "ip", "route", "add", "local", "192.0.2.0/24", "dev", "lo")
	peer.Command(t, "ip", "route", "add", "local", "2001:db8::/64", "dev", "lo")
}

// originals serves on a lease and tells where its clients wanted to go.
type originals struct {
	t  *testing.T
	to chan netip.AddrPort
}

func (o *originals) AcceptConn(c *net.TCPConn) {
	defer c.Close()
	to, err := netio.OriginalDestination(c)
	if err != nil {
		o.t.Errorf("original destination: %v", err)
	}
	o.to <- to
}

func (o *originals) AcceptError(err error) { o.t.Errorf("accept: %v", err) }

func serveOriginals(t *testing.T, at string, o netio.SocketOptions) (*netio.Listener, <-chan netip.AddrPort) {
	t.Helper()
	l := leaseWith(t, netip.MustParseAddrPort(at), o)
	a := &originals{t, make(chan netip.AddrPort, 16)}
	served := make(chan struct{})
	go func() { defer close(served); l.Serve(a) }()
	t.Cleanup(func() { l.Close(); <-served })
	return l, a.to
}

// A connection that no rule has touched went where it has come.
func TestOriginalDestinationNone(t *testing.T) {
	l, got := serveOriginals(t, "127.0.0.1:0", netio.SocketOptions{})
	coretest.DialTCP(t, l.Addr(), "")
	if to := coretest.Await(t, "a connection", got); to != l.Addr() {
		t.Errorf("got %v, want %v", to, l.Addr())
	}
	c, _ := coretest.LoopbackPair(t)
	c.Close()
	if to, err := netio.OriginalDestination(c); err == nil {
		t.Errorf("a closed connection: got %v, want an error", to)
	}
}

// REDIRECT rewrites the destination, which the kernel remembers.
func TestOriginalDestinationRedirect(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	foreign(t)
	peer.Command(t, "nft", `add table inet t; add chain inet t out { type nat hook output priority -100; };
		add rule inet t out tcp dport 80 redirect to :5301; add rule inet t out tcp dport 81 redirect to :5302;
		add rule inet t out tcp dport 82 redirect to :5303`)
	for _, tc := range []struct{ name, at, to string }{
		{"IPv4", "0.0.0.0:5301", "192.0.2.1:80"},
		{"mapped IPv4", "[::]:5302", "192.0.2.2:81"},
		{"IPv6", "[::]:5302", "[2001:db8::1]:81"},
		{"IPv6, one address", "[::1]:5303", "[2001:db8::2]:82"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, got := serveOriginals(t, tc.at, netio.SocketOptions{})
			want := netip.MustParseAddrPort(tc.to)
			coretest.DialTCP(t, want, "")
			if to := coretest.Await(t, "a connection", got); to != want {
				t.Errorf("got %v, want %v", to, want)
			}
		})
	}
}

// With TPROXY the destination is the local address of the connection.
func TestOriginalDestinationTransparent(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	foreign(t)
	peer.Command(t, "nft", `add table inet t; add chain inet t pre { type filter hook prerouting priority mangle; };
		add rule inet t pre ip daddr 192.0.2.0/24 tcp dport 80 tproxy ip to 127.0.0.1:5300 accept;
		add rule inet t pre ip6 daddr 2001:db8::/64 tcp dport 80 tproxy ip6 to [::1]:5300 accept`)
	for _, tc := range []struct{ at, to string }{{"127.0.0.1:5300", "192.0.2.1:80"}, {"[::1]:5300", "[2001:db8::1]:80"}} {
		_, got := serveOriginals(t, tc.at, netio.SocketOptions{Transparent: true})
		want := netip.MustParseAddrPort(tc.to)
		coretest.DialTCP(t, want, "")
		if to := coretest.Await(t, "a connection", got); to != want {
			t.Errorf("got %v, want %v", to, want)
		}
	}
}
