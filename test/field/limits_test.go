package field

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// listenPacketEcho starts a UDP server that sends back what it gets.
func listenPacketEcho(t testing.TB) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// talk sends one datagram to a target until an answer comes.
func talk(t testing.TB, relay *net.UDPConn, target netip.AddrPort) {
	t.Helper()
	datagram := append(socksaddr.Append([]byte{0, 0, 0}, core.AddrFrom(target)), "hello"...)
	buf := make([]byte, 2000)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if _, err := relay.Write(datagram); err != nil {
			t.Fatal(err)
		}
		_ = relay.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := relay.Read(buf); err == nil && strings.HasSuffix(string(buf[:n]), "hello") {
			return
		}
	}
	t.Fatal("a UDP session got no answer")
}

// TestIdleSessionsMakeRoom fills the connections of one client, or of one user, with UDP
// sessions that fall silent. New connections are served all the same, and the session that
// goes on talking is kept.
func TestIdleSessionsMakeRoom(t *testing.T) {
	for _, limit := range []string{"connections_per_client", "connections_per_user"} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			const most = 20
			local, server := peer.FreePort(t), peer.FreePort(t)
			key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
			identity := base64.StdEncoding.EncodeToString([]byte("fedcba9876543210"))
			umbra := run(t, fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.ss"]
[pipeline.server]
chain = ["policy.limit", "inbound.ss", "outbound.direct"]
[policy.limit]
%s = %d
exempt_loopback = false
udp_idle = "1s"
[inbound.socks5]
listen = %q
[inbound.ss]
listen = %q
mode = "both"
cipher = "server"
[outbound.ss]
server = %q
cipher = "client"
[outbound.direct]
allow = ["127.0.0.1"]
[cipher.server]
kind = "2022-blake3-aes-128-gcm"
password = %q
users = { alice = %q }
[cipher.client]
kind = "2022-blake3-aes-128-gcm"
password = "%s:%s"
`, limit, most, peer.Addr(local), peer.Addr(server), peer.Addr(server), key, identity, key, identity), local, server)

			packets, stream := listenPacketEcho(t), peer.Addr(listenEcho(t))
			var sessions []*net.UDPConn
			for range most {
				relay := associate(t, local)
				talk(t, relay, packets)
				sessions = append(sessions, relay)
			}
			for range 3 {
				var last error
				umbra.Until(t, "serve a connection beside idle UDP sessions", func() bool {
					talk(t, sessions[0], packets)
					last = echoed(t, local, stream)
					return last == nil
				})
			}
			umbra.WaitOutput(t, "idle UDP sessions ended for new connections")
		})
	}
}

// echoed connects through a SOCKS5 proxy to an echo server, and leaves a connection that
// gets its echo open until the test ends.
func echoed(t testing.TB, proxy int, target string) error {
	c, rep := dialSOCKS(t, proxy, 1, target)
	if rep != 0 {
		c.Close()
		return fmt.Errorf("reply %d", rep)
	}
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		c.Close()
		return err
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		c.Close()
		return err
	}
	return nil
}
