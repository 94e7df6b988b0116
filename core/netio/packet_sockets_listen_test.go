package netio_test

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

func TestListenPacketsInUse(t *testing.T) {
	taken := coretest.ListenUDP(t, "127.0.0.1:0").Addr()
	set := new(netio.SocketSet)
	_, err := set.ListenPackets(t.Context(), taken)
	want := "listen on " + taken.String() + ", UDP: "
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("listen: got %v, want %s…, an EADDRINUSE", err, want)
	}
	if set.Has("udp", taken) {
		t.Errorf("has %v, which could not be listened on: got true", taken)
	}
}

// TCP and UDP on one port know nothing of each other.
func TestListenBothNetworks(t *testing.T) {
	set := new(netio.SocketSet)
	streams := lease(t, set, coretest.AnyPort)
	at := streams.Addr()
	if set.Has("udp", at) {
		t.Error("has UDP before it is listened on: got true")
	}
	packets, err := set.ListenPackets(t.Context(), at)
	if errors.Is(err, syscall.EADDRINUSE) {
		t.Skipf("someone has the UDP port of that number: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	if packets.Addr() != at || !set.Has("udp", at) || !set.Has("tcp", at) {
		t.Errorf("got %v, has %t, %t, want %v and both", packets.Addr(), set.Has("udp", at), set.Has("tcp", at), at)
	}
	serveName(t, streams, "a")
	o := servePackets(t, packets)
	o.owns(t, at)
	streams.Close()
	if set.Has("tcp", at) || !set.Has("udp", at) {
		t.Errorf("after the end of TCP: got has %t, %t, want UDP alone", set.Has("tcp", at), set.Has("udp", at))
	}
	o.gets(t, at)
	packets.Close()
	if set.Has("udp", at) {
		t.Error("after the end of UDP: got has true")
	}
}

func TestSocketSetHasPackets(t *testing.T) {
	own, foreign := ownAddr(t), netip.MustParseAddr("203.0.113.77")
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, tc := range []struct {
		name   string
		at, ip netip.Addr
		want   bool
	}{
		{"exact", loopback, loopback, true},
		{"another loopback address", loopback, netip.MustParseAddr("127.0.0.2"), false},
		{"foreign", loopback, foreign, false},
		{"all of IPv4, own", netip.IPv4Unspecified(), own, true},
		{"all of IPv4, foreign", netip.IPv4Unspecified(), foreign, false},
		{"all, loopback", netip.IPv6Unspecified(), loopback, true},
		{"all, IPv6 loopback", netip.IPv6Unspecified(), netip.IPv6Loopback(), true},
		{"all, own", netip.IPv6Unspecified(), own, true},
		{"all, foreign", netip.IPv6Unspecified(), foreign, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.at.Is6() {
				needIPv6(t)
			}
			set := new(netio.SocketSet)
			port := leasePackets(t, set, netip.AddrPortFrom(tc.at, 0)).Addr().Port()
			if got := set.Has("udp", netip.AddrPortFrom(tc.ip, port)); got != tc.want {
				t.Errorf("has %v: got %t, want %t", tc.ip, got, tc.want)
			}
			if set.Has("udp", netip.AddrPortFrom(tc.ip, port^1)) || set.Has("tcp", netip.AddrPortFrom(tc.ip, port)) {
				t.Errorf("has %v on another port, or TCP: got true", tc.ip)
			}
		})
	}
}
