package direct

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// open opens an association of d, closed at the end of the test.
func open(t testing.TB, d core.Dialer) core.PacketConn {
	t.Helper()
	if err := d.CheckPackets(); err != nil {
		t.Errorf("check: got %v, want nil", err)
	}
	c, err := d.OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sends writes one datagram and checks whether it went out.
func sends(t *testing.T, c core.PacketConn, to core.Addr, want int) {
	t.Helper()
	if n, err := c.WritePackets([]core.Packet{{Addr: to, Data: []byte("x")}}); n != want || err != nil {
		t.Errorf("write to %v: got %d, %v, want %d, nil", to, n, err, want)
	}
}

// Datagrams are held to the rule of connections, each by itself.
func TestPacketsForbidden(t *testing.T) {
	c := open(t, newDialer(t, new(core.Process)))
	for _, s := range forbidden {
		ip := netip.MustParseAddr(s)
		for form, target := range wireForms(t, ip) {
			if target.Name() != "" {
				t.Errorf("%s as %s: got a name", s, form)
			}
			sends(t, c, target, 0)
		}
	}
}

func TestPacketsAllow(t *testing.T) {
	target, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := target.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	at := target.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, tc := range []struct {
		allow string
		want  int
	}{
		{"127.0.0.0/8", 1}, {"127.0.0.1", 1}, {"127.0.0.2", 0}, {"::/0", 0},
	} {
		t.Run(tc.allow, func(t *testing.T) {
			c := open(t, newDialer(t, new(core.Process), tc.allow))
			sends(t, c, core.AddrFrom(at), tc.want)
			named, err := core.NewAddr("localhost", at.Port())
			if err != nil {
				t.Fatal(err)
			}
			sends(t, c, named, 1) // it waits for its address; whether it may go there is told then
			for range 2 * tc.want {
				if _, _, err := target.ReadFromUDPAddrPort(make([]byte, 10)); err != nil {
					t.Errorf("the target: %v", err)
				}
			}
		})
	}
}

// No datagram comes back in, however far the ranges are open.
func TestPacketsOwnListener(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(at, func(t *testing.T) {
			p := new(core.Process)
			l, err := netio.SocketsOf(p).ListenPackets(t.Context(), netip.MustParseAddrPort(at))
			if err != nil {
				t.Skipf("no such address here: %v", err)
			}
			defer l.Close()
			c := open(t, newDialer(t, p, "0.0.0.0/0", "::/0"))
			loopback := netip.MustParseAddr("127.0.0.1")
			sends(t, c, core.NewIPAddr(loopback, l.Addr().Port()), 0)
			for _, unspecified := range []string{"0.0.0.0", "::"} {
				sends(t, c, core.NewIPAddr(netip.MustParseAddr(unspecified), l.Addr().Port()), 0)
			}
			sends(t, c, core.AddrFrom(coretest.FreeAddr(t)), 1)
		})
	}
}
