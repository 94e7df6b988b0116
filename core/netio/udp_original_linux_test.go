//go:build linux && !portable

package netio_test

import (
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/test/peer"
)

// listenOriginal returns a socket that tells where datagrams were sent.
func listenOriginal(t *testing.T, at string, o netio.SocketOptions) (*netio.UDPSocket, *coretest.Gathered) {
	t.Helper()
	o.OriginalDestination = true
	s, err := netio.ListenUDPWith(netip.MustParseAddrPort(at), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, coretest.Gather(t, s)
}

// The kernel tells where a datagram was sent, of one and of many, with and without our
// address beside it.
func TestUDPOriginal(t *testing.T) {
	for _, tc := range []struct{ name, at, from, to string }{
		{"IPv4, every address", "0.0.0.0:0", "127.0.0.1", "127.0.0.5"},
		{"IPv4, one address", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"mapped IPv4", "[::]:0", "127.0.0.1", "127.0.0.5"},
		{"IPv6, every address", "[::]:0", "::1", "::1"},
		{"IPv6, one address", "[::1]:0", "::1", "::1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if netip.MustParseAddrPort(tc.at).Addr().Is6() {
				needIPv6(t)
			}
			s, in := listenOriginal(t, tc.at, netio.SocketOptions{})
			to := netip.AddrPortFrom(netip.MustParseAddr(tc.to), s.Addr().Port())
			sender := coretest.ListenUDP(t, netip.AddrPortFrom(netip.MustParseAddr(tc.from), 0).String())
			for _, n := range []int{1, 1, 20, 1} {
				var ds []netio.Datagram
				for range n { // of one size, so that they may come as one message
					ds = append(ds, netio.Datagram{Peer: to, Data: make([]byte, 1000)})
				}
				coretest.SendUDP(t, sender, ds...)
				for range n {
					got := coretest.Await(t, "a datagram", in.Got)
					if got.Original != to || got.Peer != sender.Addr() || len(got.Data) != 1000 {
						t.Fatalf("got %d bytes to %v from %v, want 1000 to %v from %v", len(got.Data), got.Original, got.Peer, to, sender.Addr())
					}
					if every := s.Addr().Addr().IsUnspecified(); every && got.Local != to.Addr() {
						t.Errorf("our address: got %v, want %v", got.Local, to.Addr())
					}
				}
			}
		})
	}
}

// A socket without the option tells nothing.
func TestUDPNoOriginal(t *testing.T) {
	s, sender := coretest.ListenUDP(t, "0.0.0.0:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	in := coretest.Gather(t, s)
	coretest.SendUDP(t, sender, netio.Datagram{Peer: netip.AddrPortFrom(sender.Addr().Addr(), s.Addr().Port()), Data: []byte("x")})
	if got := coretest.Await(t, "a datagram", in.Got); got.Original.IsValid() {
		t.Errorf("original destination: got %v, want none", got.Original)
	}
}

// With TPROXY a socket gets what is sent to other machines, and answers as they would.
func TestUDPTransparent(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	foreign(t)
	peer.Command(t, "nft", `add table inet t; add chain inet t pre { type filter hook prerouting priority mangle; };
		add rule inet t pre ip daddr 192.0.2.0/24 udp dport 53 tproxy ip to 127.0.0.1:5300 accept;
		add rule inet t pre ip6 daddr 2001:db8::/64 udp dport 53 tproxy ip6 to [::1]:5300 accept`)
	for _, tc := range []struct{ at, from, to string }{
		{"127.0.0.1:5300", "127.0.0.1:0", "192.0.2.1:53"},
		{"[::1]:5300", "[::1]:0", "[2001:db8::1]:53"},
	} {
		to := netip.MustParseAddrPort(tc.to)
		_, in := listenOriginal(t, tc.at, netio.SocketOptions{Transparent: true})
		client := coretest.ListenUDP(t, tc.from)
		back := coretest.Gather(t, client)
		coretest.SendUDP(t, client, netio.Datagram{Peer: to, Data: []byte("question")})
		got := coretest.Await(t, "the datagram", in.Got)
		if got.Original != to || got.Peer != client.Addr() {
			t.Errorf("got one from %v to %v, want from %v to %v", got.Peer, got.Original, client.Addr(), to)
		}
		answer, err := netio.ListenUDPWith(got.Original, netio.SocketOptions{Transparent: true})
		if err != nil {
			t.Fatal(err)
		}
		coretest.SendUDP(t, answer, netio.Datagram{Peer: got.Peer, Data: []byte("answer")})
		if got := coretest.Await(t, "the answer", back.Got); got.Peer != to {
			t.Errorf("answer: got one from %v, want from %v", got.Peer, to)
		}
		answer.Close()
	}
}
