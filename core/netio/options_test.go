package netio_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Datagrams leave from the source address, one by one and in bursts, and the answers
// come back.
func TestSocketOptionsSource(t *testing.T) {
	for _, tc := range []struct {
		name, at string
		o        netio.SocketOptions
		want     string
	}{
		{"IPv4", "127.0.0.1:0", netio.SocketOptions{Source4: netip.MustParseAddr("127.0.0.1")}, "127.0.0.1"},
		{"IPv6", "[::1]:0", netio.SocketOptions{Source6: netip.MustParseAddr("::1")}, "::1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "IPv6" {
				needIPv6(t)
			}
			target := coretest.ListenUDP(t, tc.at)
			in := coretest.Gather(t, target)
			s, err := netio.OpenUDPWith(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			back := coretest.Gather(t, s)
			for _, n := range []int{1, 3} {
				var ds []netio.Datagram
				for range n {
					ds = append(ds, netio.Datagram{Peer: target.Addr(), Data: []byte("out")})
				}
				coretest.SendUDP(t, s, ds...)
				for range n {
					got := coretest.Await(t, "a datagram", in.Got)
					if got.Peer.Addr() != netip.MustParseAddr(tc.want) {
						t.Errorf("source: got %v, want %v", got.Peer, tc.want)
					}
					coretest.SendUDP(t, target, netio.Datagram{Peer: got.Peer, Data: []byte("back")})
					coretest.Await(t, "the answer", back.Got)
				}
			}
		})
	}
}

// Source addresses are for sockets that dial, and of their family.
func TestSocketOptionsBadSource(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	_, listen := new(netio.SocketSet).ListenWith(t.Context(), coretest.AnyPort, netio.SocketOptions{Source4: v4})
	_, packets := new(netio.SocketSet).ListenPacketsWith(t.Context(), coretest.AnyPort, netio.SocketOptions{Source6: v6})
	_, as4 := netio.OpenUDPWith(netio.SocketOptions{Source4: v6})
	_, as6 := netio.OpenUDPWith(netio.SocketOptions{Source6: v4})
	_, mapped := netio.OpenUDPWith(netio.SocketOptions{Source6: netip.MustParseAddr("::ffff:192.0.2.1")})
	_, local := netio.OpenUDPWith(netio.SocketOptions{Source6: netip.MustParseAddr("fe80::1")})
	for name, err := range map[string]error{
		"a TCP listener": listen, "a UDP listener": packets, "IPv6 as IPv4": as4, "IPv4 as IPv6": as6, "mapped": mapped, "link-local": local,
	} {
		if err == nil || !strings.Contains(err.Error(), "socket option source: ") {
			t.Errorf("%s: got %v, want an error that names the option", name, err)
		}
	}
}

// All leases of an address have the same options, but for FreeBind: the socket is bound.
func TestLeaseOtherOptions(t *testing.T) {
	set := new(netio.SocketSet)
	at, o := coretest.FreeAddr(t), netio.SocketOptions{Interface: "nowhere0"}
	first := lease(t, set, at)
	leasePackets(t, set, at)
	_, tcp := set.ListenWith(t.Context(), at, o)
	_, udp := set.ListenPacketsWith(t.Context(), at, o)
	for _, err := range []error{tcp, udp} {
		if err == nil || !strings.Contains(err.Error(), at.String()) || !strings.Contains(err.Error(), "other socket options") {
			t.Errorf("another lease with options: got %v, want an error that says so", err)
		}
	}
	if again, err := set.ListenWith(t.Context(), at, netio.SocketOptions{}); err != nil {
		t.Errorf("another lease without options: %v", err)
	} else {
		again.Close()
	}
	if free, err := set.ListenWith(t.Context(), at, netio.SocketOptions{FreeBind: true}); err != nil {
		t.Errorf("another lease with FreeBind: %v", err)
	} else {
		free.Close()
	}
	if free, err := set.ListenPacketsWith(t.Context(), at, netio.SocketOptions{FreeBind: true}); err != nil {
		t.Errorf("another lease with FreeBind, UDP: %v", err)
	} else {
		free.Close()
	}
	first.Close()
}
