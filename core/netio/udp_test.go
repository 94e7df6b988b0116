package netio_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// needIPv6 skips the test on a machine without IPv6.
func needIPv6(t testing.TB) {
	t.Helper()
	c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	c.Close()
}

// datagrams is a UDPSocket as a core.PacketConn.
type datagrams struct {
	*netio.UDPSocket
	t testing.TB
}

var _ core.PacketConn = datagrams{}

func (d datagrams) WritePackets(ps []core.Packet) (int, error) {
	ds := make([]netio.Datagram, len(ps))
	for i, p := range ps {
		ds[i] = netio.Datagram{Peer: p.Addr.AddrPort(), Data: p.Data}
	}
	return d.Send(ds)
}

func (d datagrams) Receive(sink core.PacketSink) {
	panicked := func(err error) { d.t.Errorf("a sink panicked: %v", err) }
	err := d.ReceivePackets(sink, panicked, func(d *netio.Datagram) (core.Packet, bool) {
		return core.Packet{Addr: core.AddrFrom(d.Peer), Data: d.Data}, true
	})
	if err != nil {
		d.t.Errorf("receive: %v", err)
	}
}

// endOf returns a socket as an end that others reach at an address of this host.
func endOf(t testing.TB, s *netio.UDPSocket, host string) coretest.PacketEnd {
	t.Helper()
	return coretest.PacketEnd{
		Conn: datagrams{s, t},
		Addr: core.AddrFrom(netip.AddrPortFrom(netip.MustParseAddr(host), s.Addr().Port())),
	}
}

// Each way in which two sockets can meet keeps the contract of a packet
// connection; that the source of what comes is the very address of the other end
// shows that mapped addresses come out unmapped.
func TestUDPSocket(t *testing.T) {
	for _, tc := range []struct {
		name         string
		a, b         string // that they are bound to
		hostA, hostB string // that they are reached at
	}{
		{"IPv4", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"IPv6", "[::1]:0", "[::1]:0", "::1", "::1"},
		{"every IPv4 address", "0.0.0.0:0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"every address, by IPv4", "[::]:0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"every address, by IPv6", "[::]:0", "[::1]:0", "::1", "::1"},
		{"every address, both", "[::]:0", "[::]:0", "127.0.0.1", "127.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name != "IPv4" {
				needIPv6(t)
			}
			coretest.TestPacketConn(t, func(t testing.TB) (a, b coretest.PacketEnd) {
				return endOf(t, coretest.ListenUDP(t, tc.a), tc.hostA), endOf(t, coretest.ListenUDP(t, tc.b), tc.hostB)
			})
		})
	}
}

// A socket of all families tells IPv4 and IPv6 clients apart.
func TestUDPSocketBothFamilies(t *testing.T) {
	needIPv6(t)
	s := coretest.ListenUDP(t, "[::]:0")
	if got := s.Addr(); got.Addr() != netip.IPv6Unspecified() || got.Port() == 0 {
		t.Errorf("address: got %v, want [::] and a port", got)
	}
	in := coretest.Gather(t, s)
	for _, host := range []string{"127.0.0.1", "::1"} {
		c := dialUDP(t, host, netip.AddrPortFrom(netip.MustParseAddr(host), s.Addr().Port()))
		coretest.Write(t, c, []byte("from "+host))
		got := coretest.Await(t, "a datagram", in.Got)
		if want := c.LocalAddr().(*net.UDPAddr).AddrPort(); got.Peer != want || string(got.Data) != "from "+host {
			t.Errorf("got %q from %v, want %q from %v", got.Data, got.Peer, "from "+host, want)
		}
		coretest.SendUDP(t, s, netio.Datagram{Peer: got.Peer, Data: []byte("answer")})
		coretest.Read(t, c, []byte("answer"))
	}
}

// dialUDP returns a plain UDP connection from an address of this host, which does
// not hang the test.
func dialUDP(t testing.TB, from string, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	coretest.Hurry(t, c)
	return c
}
