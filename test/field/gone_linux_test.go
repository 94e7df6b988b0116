package field

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// silentTarget is a target that answers no connection, as behind a firewall that drops all:
// a port whose queue of connections is full.
func silentTarget(t testing.TB) (addr string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = peer.Addr(at.(*unix.SockaddrInet4).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if os.IsTimeout(err) {
			return addr
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue of 0 connections took 16")
	return ""
}

// A client that goes while its target is dialled leaves no descriptor behind.
func TestClientsLeaveDuringDial(t *testing.T) {
	const clients = 20
	for _, tc := range []struct {
		name string
		hop  bool // through a Shadowsocks server, whose descriptors are counted
		sent string
		end  func(*net.TCPConn)
	}{
		{"close", false, "", func(*net.TCPConn) {}},
		{"reset", false, "", func(c *net.TCPConn) { _ = c.SetLinger(0) }},
		{"reset behind a payload", false, "hello", func(c *net.TCPConn) { _ = c.SetLinger(0) }},
		{"reset at a Shadowsocks client", true, "hello", func(c *net.TCPConn) { _ = c.SetLinger(0) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			port, server := peer.FreePort(t), peer.FreePort(t)
			const target = "[outbound.direct]\nallow = [\"127.0.0.0/8\"]\n"
			const house = "[cipher.house]\nkind = \"aes-256-gcm\"\npassword = \"" + peer.Password + "\"\n"
			const dials = "[pipeline.p]\ndial_timeout = \"10m\"\n"
			local := dials + fmt.Sprintf("chain = [\"inbound.socks5\", \"outbound.direct\"]\n[inbound.socks5]\nlisten = %q\n", peer.Addr(port)) + target
			if tc.hop {
				local = strings.Replace(local, "outbound.direct\"]", "outbound.ss\"]", 1)
				local = strings.Replace(local, target, fmt.Sprintf("[outbound.ss]\nserver = %q\ncipher = \"house\"\n", peer.Addr(server)), 1) + house
			}
			dialling := run(t, local, port)
			if tc.hop {
				dialling = run(t, dials+fmt.Sprintf("chain = [\"inbound.ss\", \"outbound.direct\"]\n[inbound.ss]\nlisten = %q\ncipher = \"house\"\n", peer.Addr(server))+target+house, server)
			}
			silent := silentTarget(t)
			before := dialling.Descriptors(t)
			var conns []*net.TCPConn
			for range clients {
				conns = append(conns, request(t, peer.Addr(port), silent, tc.sent))
			}
			dialling.Until(t, "all clients' targets are dialled", func() bool { return dialling.Descriptors(t) >= before+2*clients })
			for _, c := range conns {
				tc.end(c)
				c.Close()
			}
			dialling.Until(t, "the descriptors are closed", func() bool { return dialling.Descriptors(t) <= before+2 })
		})
	}
}

// request sends a CONNECT for target with a payload behind it, and waits for no reply.
func request(t testing.TB, proxy, target, payload string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	addr, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	message := append(socksaddr.Append([]byte{5, 1, 0, 5, 1, 0}, addr), payload...)
	if _, err := conn.Write(message); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}
