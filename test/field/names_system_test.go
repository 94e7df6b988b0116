package field

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// ownHosts returns the start of a command that runs a program with its own /etc/hosts and
// /etc/resolv.conf.
func ownHosts(t testing.TB, hosts, resolvConf string) []string {
	t.Helper()
	unshare := peer.Need(t, "unshare")
	if os.Geteuid() != 0 {
		t.Skip("mount namespaces require root")
	}
	script := fmt.Sprintf("mount --bind %s /etc/hosts && mount --bind %s /etc/resolv.conf && exec \"$0\" \"$@\"",
		write(t, "hosts", hosts), write(t, "resolv.conf", resolvConf))
	return []string{unshare, "-m", "sh", "-c", script}
}

const hosts = "127.0.0.1 localhost\n127.0.0.1 printer Printer2 printer.office.example\n"

// TestHostsFile connects to names of the hosts file, of one label and of several, by
// TCP, by UDP and as the server of an outbound. Other programs find them all.
func TestHostsFile(t *testing.T) {
	t.Parallel()
	before := ownHosts(t, hosts, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	echo := listenEcho(t)
	server := peer.FreePort(t)
	run(t, fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "house"
[outbound.direct]
allow = ["127.0.0.0/8"]
[cipher.house]
kind = "aes-256-gcm"
password = %q
`, peer.Addr(server), peer.Password), server)
	hop := func(port int) string {
		return fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.ss"]
[inbound.socks5]
listen = %q
[outbound.ss]
server = "printer:%d"
cipher = "house"
[cipher.house]
kind = "aes-256-gcm"
password = %q
`, peer.Addr(port), server, peer.Password)
	}
	for _, tc := range []struct {
		name  string
		file  func(port int) string
		hosts []string
	}{
		{"without a resolver", func(port int) string { return socksFile(port, "", "") }, []string{"printer", "PRINTER2", "printer.office.example", "localhost"}},
		{"resolver.system", func(port int) string { return socksFile(port, `"resolver.system", `, "[resolver.system]\n") }, []string{"printer", "printer.office.example"}},
		{"the server of an outbound", hop, []string{"127.0.0.1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			port := peer.FreePort(t)
			runBy(t, before, tc.file(port), port)
			for _, host := range tc.hosts {
				c, rep := dialSOCKS(t, port, 1, net.JoinHostPort(host, strconv.Itoa(echo)))
				if rep != 0 {
					t.Errorf("%s: got the reply %d, want 0", host, rep)
				}
				c.Close()
			}
		})
	}
	t.Run("UDP", func(t *testing.T) {
		t.Parallel()
		port := peer.FreePort(t)
		runBy(t, before, socksFile(port, "", ""), port)
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		_ = udp.SetReadDeadline(time.Now().Add(patience))
		c := associate(t, port)
		to, err := core.NewAddr("printer", uint16(udp.LocalAddr().(*net.UDPAddr).Port))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(append(socksaddr.Append([]byte{0, 0, 0}, to), "hello"...)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		if n, _, err := udp.ReadFrom(buf); err != nil || string(buf[:n]) != "hello" {
			t.Errorf("got %q, %v, want hello", buf[:n], err)
		}
	})
}

// associate requests UDP from a SOCKS5 proxy and returns a socket connected to its relay.
func associate(t testing.TB, proxy int) *net.UDPConn {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(proxy))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte
	for n := 0; n < len(answer); {
		more, err := c.Read(answer[n:])
		if err != nil || n >= 4 && answer[3] != 0 {
			t.Fatalf("ASSOCIATE: got %x, %v", answer, err)
		}
		n += more
	}
	relay, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: answer[6:10], Port: int(answer[10])<<8 | int(answer[11])})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	_ = relay.SetDeadline(time.Now().Add(patience))
	return relay
}
