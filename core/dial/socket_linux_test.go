//go:build linux && !portable

package dial_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/test/peer"
)

// listenTCP accepts connections and returns the address and their sources.
func listenTCP(t *testing.T, at string) (netip.AddrPort, <-chan netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	sources := make(chan netip.AddrPort, 64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sources <- netio.RemoteAddr(c.(*net.TCPConn))
			t.Cleanup(func() { c.Close() })
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), sources
}

// Connections and datagrams leave from the source address of their family.
func TestNetSource(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	for _, ip := range []string{"192.0.2.9/24", "2001:db8::9/64"} {
		peer.AddAddress(t, ip)
	}
	n := dial.Net{Socket: netio.SocketOptions{Source4: netip.MustParseAddr("192.0.2.9"), Source6: netip.MustParseAddr("2001:db8::9")}}
	for _, tc := range []struct{ at, want string }{{"127.0.0.1:0", "192.0.2.9"}, {"[::1]:0", "2001:db8::9"}} {
		at, sources := listenTCP(t, tc.at)
		s, err := n.DialStream(t.Context(), &core.Request{Target: core.AddrFrom(at), Flow: new(core.Flow)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if got := coretest.Await(t, "the connection", sources); got.Addr().String() != tc.want {
			t.Errorf("source of a connection to %s: got %v, want %v", at, got, tc.want)
		}
		target := coretest.ListenUDP(t, tc.at)
		in := coretest.Gather(t, target)
		p, err := n.OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if sent, err := p.WritePackets([]core.Packet{{Addr: core.AddrFrom(target.Addr()), Data: []byte("x")}}); sent != 1 || err != nil {
			t.Errorf("send: got %d, %v, want 1, nil", sent, err)
		}
		if got := coretest.Await(t, "the datagram", in.Got); got.Peer.Addr().String() != tc.want {
			t.Errorf("source of a datagram to %s: got %v, want %v", target.Addr(), got.Peer, tc.want)
		}
	}
}

// A port of the source address serves many destinations: with two ports there can be
// two connections to each.
func TestNetSourceSharesPorts(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40001"), 0); err != nil {
		t.Skipf("the range of ports can't be set here: %v", err)
	}
	for _, tc := range []struct {
		o    netio.SocketOptions
		host string
	}{
		{netio.SocketOptions{Source4: netip.MustParseAddr("127.0.0.9")}, "127.0.0.1"},
		{netio.SocketOptions{Source6: netip.MustParseAddr("::1")}, "::1"},
	} {
		for _, port := range []string{"5001", "5002", "5003", "5004"} {
			at, sources := listenTCP(t, net.JoinHostPort(tc.host, port))
			for range 2 {
				s, err := dial.Net{Socket: tc.o}.DialStream(t.Context(), &core.Request{Target: core.AddrFrom(at), Flow: new(core.Flow)})
				if err != nil {
					t.Fatalf("dial %s: %v", at, err)
				}
				defer s.Close()
				coretest.Await(t, "the connection", sources)
			}
		}
	}
}

// An option that can't be had is the error of the dial, and the guard is asked first.
func TestNetSocketError(t *testing.T) {
	at, _ := listenTCP(t, "127.0.0.1:0")
	n := dial.Net{Socket: netio.SocketOptions{Interface: "nowhere0"}}
	r := &core.Request{Target: core.AddrFrom(at), Flow: new(core.Flow)}
	if _, err := n.DialStream(t.Context(), r); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("dial: got %v, want ENODEV", err)
	}
	if _, err := n.OpenPackets(t.Context(), r); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("open packets: got %v, want ENODEV", err)
	}
	n.Control = func(context.Context, core.Network, netip.AddrPort) error { return core.ErrDenied }
	if _, err := n.DialStream(t.Context(), r); !errors.Is(err, core.ErrDenied) {
		t.Errorf("dial: got %v, want %v", err, core.ErrDenied)
	}
}
