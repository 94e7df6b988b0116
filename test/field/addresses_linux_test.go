package field

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// addresses are targets, and whether a client of a server reaches them by default.
var addresses = []struct {
	ip      string
	reached bool
	why     string // in the log
}{
	{"9.9.9.9", true, ""},
	{"64:ff9b::9.9.9.9", true, ""},
	{"2002:909:909::1", true, ""},
	{"2001:0:909:909:8000:63bf:f6f6:f6f6", true, ""},
	{"2001:db9:64::9.9.9.9", true, ""}, // by nat64
	{"2001:db9::1", true, ""},
	{"10.0.0.1", false, "10.0.0.1 is not a public address"},
	{"64:ff9b::10.0.0.1", false, "leads to 10.0.0.1, which is not a public address; add 10.0.0.1 to allow"},
	{"64:ff9b:1::9.9.9.9", false, "to nat64 in [process]"},
	{"2002:a00:1::1", false, "leads to 10.0.0.1"},
	{"2001:0:909:909:8000:63bf:f5ff:fffe", false, "leads to 10.0.0.1"},
	{"2001:db9:64::10.0.0.1", false, "leads to 10.0.0.1"},
	{"11.0.0.1", false, "11.0.0.1 is an address of this machine"},
	{"64:ff9b::11.0.0.1", false, "add 11.0.0.1 to allow"},
	{"2001:db9:1::1", false, "2001:db9:1::1 is an address of this machine"},
	{"11.0.0.2", true, ""}, // an own address that is allowed
	{"168.63.129.16", false, "not a public address"},
	{"100.100.100.200", false, "not a public address"},
	{"169.254.169.254", false, "not a public address"},
	{"192.0.0.192", false, "not a public address"},
	{"fd00:ec2::254", false, "not a public address"},
	{"fd20:ce::254", false, "not a public address"},
	{"200::1", false, "not a public address"},
	{"300::1", false, "not a public address"},
	{"4000::1", false, "not a public address"},
}

// TestAddresses has a machine that reaches everything: each address of the table is served
// by a program on it, over TCP and UDP. Clients ask for each as an address, as a name
// that is an address, and as a name that DNS answers. `allow` has 64:ff9b::/96, which
// opens none of the addresses inside.
func TestAddresses(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	for _, own := range []string{"11.0.0.1/32", "11.0.0.2/32", "2001:db9:1::1/128"} {
		peer.AddAddress(t, own)
	}
	for _, a := range addresses { // routes, not addresses: the kernel takes what goes there
		ip := netip.MustParseAddr(a.ip)
		if !strings.Contains(a.why, "of this machine") && a.ip != "11.0.0.2" {
			peer.Command(t, "ip", "route", "add", "local", netip.PrefixFrom(ip, ip.BitLen()).String(), "dev", "lo")
		}
	}
	target := anyTarget(t)
	names := newNameServer(t, "127.0.0.1", 0, func(name string, kind uint16) (byte, []net.IP, bool) {
		for i, a := range addresses {
			if ip := netip.MustParseAddr(a.ip); name == fmt.Sprintf("n%d.example", i) && ip.Is4() == (kind == typeA) {
				return noError, []net.IP{ip.AsSlice()}, true
			}
		}
		return noError, nil, true
	})
	port := peer.FreePort(t)
	p := run(t, fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = %q
[outbound.direct]
allow = ["64:ff9b::/96", "64:ff9b:1::/48", "11.0.0.2"]
resolver = "dns"
[resolver.dns]
servers = ["127.0.0.1:%d"]
[process]
nat64 = ["2001:db9:64::/96"]
[log]
level = "debug"
`, peer.Addr(port), names.port), port)
	relay := associate(t, port)
	for i, a := range addresses {
		for form, host := range map[string]string{"address": a.ip, "literal": a.ip, "name": fmt.Sprintf("n%d.example", i)} {
			to := named(host)
			if form == "address" {
				to = socksaddr.Append(nil, core.NewIPAddr(netip.MustParseAddr(host), target))
			} else {
				to = append(to, byte(target>>8), byte(target))
			}
			if rep := askSOCKS(t, port, to); (rep == 0) != a.reached {
				t.Errorf("%s as %s: got the reply %d, want reached %t", a.ip, form, rep, a.reached)
			}
			if form == "name" {
				continue // its lookup takes an unknown time
			}
			if got := echoes(t, relay, to, target); got != a.reached {
				t.Errorf("%s as %s: got a datagram back %t, want %t", a.ip, form, got, a.reached)
			}
		}
		if !strings.Contains(p.Output(), a.why) {
			t.Errorf("%s: the log does not have %q:\n%s", a.ip, a.why, p.Output())
		}
	}
}

// named returns a host as a name in the form of SOCKS5, without a port.
func named(host string) []byte { return append([]byte{3, byte(len(host))}, host...) }

// anyTarget starts a server of TCP and UDP on all addresses, and returns its port. It
// greets, and sends datagrams back.
func anyTarget(t testing.TB) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	u, err := net.ListenUDP("udp", &net.UDPAddr{Port: int(port)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("x"))
			c.Close()
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 1000)
		for {
			n, from, err := u.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	t.Cleanup(func() { l.Close(); u.Close(); <-done; <-done })
	return port
}

// askSOCKS asks a SOCKS5 proxy to connect, and returns the reply code.
func askSOCKS(t testing.TB, proxy int, to []byte) byte {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(proxy))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(append([]byte{5, 1, 0, 5, 1, 0}, to...)); err != nil {
		t.Fatal(err)
	}
	var answer [4]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		t.Fatal(err)
	}
	return answer[3]
}

// echoes reports whether a datagram to a target comes back, before one that is sent after
// it to 9.9.9.9.
func echoes(t testing.TB, relay net.Conn, to []byte, port uint16) bool {
	t.Helper()
	end := socksaddr.Append(nil, core.NewIPAddr(netip.MustParseAddr("9.9.9.9"), port))
	for _, b := range [][]byte{append(append([]byte{0, 0, 0}, to...), "x"...), append(append([]byte{0, 0, 0}, end...), "end"...)} {
		if _, err := relay.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	got := false
	buf := make([]byte, 1000)
	for {
		n, err := relay.Read(buf)
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.HasSuffix(string(buf[:n]), "end"):
			return got
		}
		got = true
	}
}
