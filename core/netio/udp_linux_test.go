//go:build linux && !portable

package netio_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"go.uber.org/goleak"
)

// A socket on every address tells which of them a datagram came to, and answers
// from it, whether one by one or in runs.
func TestUDPSocketLocal(t *testing.T) {
	for _, tc := range []struct {
		name, at string
		local    string // that the client sends to
		client   string
	}{
		{"IPv4", "0.0.0.0:0", "127.0.0.5", "127.0.0.1"},
		{"IPv4, the usual one", "0.0.0.0:0", "127.0.0.1", "127.0.0.1"},
		{"mapped IPv4", "[::]:0", "127.0.0.5", "127.0.0.1"},
		{"IPv6", "[::]:0", "::1", "::1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.at == "[::]:0" {
				needIPv6(t)
			}
			s := coretest.ListenUDP(t, tc.at)
			in := coretest.Gather(t, s)
			local := netip.MustParseAddr(tc.local)
			to := netip.AddrPortFrom(local, s.Addr().Port())
			c := dialUDP(t, tc.client, to) // hears nothing of another source
			coretest.Write(t, c, []byte("hello"))
			got := coretest.Await(t, "a datagram", in.Got)
			if got.Local != local {
				t.Errorf("our address: got %v, want %v", got.Local, local)
			}
			for _, n := range []int{1, 2, 10} {
				var ds []netio.Datagram
				for i := range n {
					ds = append(ds, netio.Datagram{Peer: got.Peer, Local: got.Local, Data: []byte{byte(n), byte(i)}})
				}
				coretest.SendUDP(t, s, ds...)
				for i := range n {
					coretest.Read(t, c, []byte{byte(n), byte(i)})
				}
			}
		})
	}
}

// One that is bound to an address tells nothing, and does as it is told nothing.
func TestUDPSocketBoundLocal(t *testing.T) {
	s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	in := coretest.Gather(t, peer)
	coretest.SendUDP(t, s, netio.Datagram{Peer: peer.Addr(), Local: netip.MustParseAddr("127.0.0.5"), Data: []byte("x")})
	if got := coretest.Await(t, "a datagram", in.Got); got.Peer != s.Addr() || got.Local.IsValid() {
		t.Errorf("got source %v, our address %v, want %v, none", got.Peer, got.Local, s.Addr())
	}
}

// Runs are made of what goes from one address to one peer: datagrams that differ
// in that stay apart and in order.
func TestUDPSocketRunsApart(t *testing.T) {
	s := coretest.ListenUDP(t, "0.0.0.0:0")
	var clients []*net.UDPConn
	var ds []netio.Datagram
	for i := range 20 {
		local := netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i%3)})
		c := dialUDP(t, "127.0.0.1", netip.AddrPortFrom(local, s.Addr().Port()))
		clients = append(clients, c)
		for j := range 2 {
			ds = append(ds, netio.Datagram{Peer: c.LocalAddr().(*net.UDPAddr).AddrPort(), Local: local, Data: []byte{byte(i), byte(j)}})
		}
	}
	coretest.SendUDP(t, s, ds...)
	for i, c := range clients {
		coretest.Read(t, c, []byte{byte(i), 0})
		coretest.Read(t, c, []byte{byte(i), 1})
	}
}

func TestUDPSocketReceiveClosed(t *testing.T) {
	s := coretest.ListenUDP(t, "127.0.0.1:0")
	s.Close()
	if err := s.Receive(func([]netio.Datagram) {}, func(error) {}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("receive after close: got %v, want net.ErrClosed", err)
	}
}

// The pollers run while any socket receives, and end with the last one.
func TestPollersEnd(t *testing.T) {
	leak := goleak.IgnoreCurrent()
	if n := netio.Pollers(); n != 0 {
		t.Fatalf("pollers before: got %d, want 0", n)
	}
	for range 3 {
		var all []*netio.UDPSocket
		for range 5 {
			s := coretest.ListenUDP(t, "127.0.0.1:0")
			coretest.Gather(t, s)
			all = append(all, s)
		}
		idle := coretest.ListenUDP(t, "127.0.0.1:0") // that does not receive
		for i, s := range all {
			if netio.Pollers() == 0 {
				t.Errorf("pollers with %d sockets: got none", len(all)-i)
			}
			s.Close()
		}
		if n := netio.Pollers(); n != 0 {
			t.Errorf("pollers after the last socket: got %d, want 0", n)
		}
		idle.Close()
	}
	goleak.VerifyNone(t, leak)
}
