package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// quiet is the time without a datagram after which a target counts as unreached; names must be
// resolved first.
const quiet = 200 * time.Millisecond

// TestPacketsPrivate requests targets that the file does not allow, in every spelling, before and after
// an allowed one: the rule applies to each datagram.
func TestPacketsPrivate(t *testing.T) {
	server := peer.FreePort(t)
	file := strings.Replace(serverFile(server, method), `"127.0.0.0/8", "::1"`, `"127.0.0.2"`, 1)
	run(t, file, server).WaitPackets(t, server)
	proxy := umbraLocal(t, method, server)
	for _, tc := range []struct{ name, listen, host string }{
		{"address", "127.0.0.1", "\x01\x7f\x00\x00\x01"},
		{"another address", "127.0.0.3", "\x01\x7f\x00\x00\x03"},
		{"unspecified", "127.0.0.1", "\x01\x00\x00\x00\x00"},
		{"mapped", "127.0.0.1", string(ipv6("::ffff:127.0.0.1"))},
		{"IPv6", "::1", string(ipv6("::1"))},
		{"unspecified IPv6", "::1", string(ipv6("::"))},
		{"name", "127.0.0.1", "\x03\x09localhost"},
		{"name in capitals", "127.0.0.1", "\x03\x09LOCALHOST"},
		{"address as a name", "127.0.0.1", "\x03\x09127.0.0.1"},
		{"IPv6 address as a name", "::1", "\x03\x03::1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.listen == "::1" && !hasIPv6(t) {
				t.Skip("without IPv6")
			}
			open, closed := newEcho(t, "127.0.0.2"), listenPackets(t, tc.listen)
			port := closed.LocalAddr().(*net.UDPAddr).AddrPort().Port()
			a := associate(t, proxy)
			for i := range 3 {
				datagram := binary.BigEndian.AppendUint16([]byte("\x00\x00\x00"+tc.host), port)
				writePacket(t, a.socket, a.relay, string(datagram)+"to a closed target")
				a.exchange(t, open.addr, fmt.Sprint("to an open target ", i))
			}
			if strings.HasPrefix(tc.name, "name") {
				_ = closed.SetReadDeadline(time.Now().Add(quiet))
				if n, err := closed.Read(make([]byte, 100)); err == nil {
					t.Errorf("a datagram of %d bytes came to a target that is not open", n)
				}
				_ = closed.SetReadDeadline(soon())
			}
			expectNothing(t, closed)
		})
	}
}

// TestPacketsPrivateByDefault requests targets on the server's machine, with a file that allows none.
func TestPacketsPrivateByDefault(t *testing.T) {
	server := peer.FreePort(t)
	file := strings.Replace(serverFile(server, method), "allow = ", "# allow = ", 1)
	umbra := run(t, file, server)
	umbra.WaitPackets(t, server)
	target, socket, client := listenPackets(t, "127.0.0.1"), listenPackets(t, "127.0.0.1"), packetClient(t, method)
	to := netip.MustParseAddrPort(peer.Addr(server))
	port := target.LocalAddr().(*net.UDPAddr).Port
	for range 3 {
		for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0"} {
			writePacket(t, socket, to, sealed(t, client, fmt.Sprintf("%s:%d", host, port), "to a closed target"))
		}
	}
	writePacket(t, socket, to, "the end")
	umbra.WaitOutput(t, "datagram dropped ") // the last datagram, so all have been judged
	_ = target.SetReadDeadline(time.Now().Add(quiet))
	if n, err := target.Read(make([]byte, 100)); err == nil {
		t.Errorf("a datagram of %d bytes came to a target that is not open", n)
	}
	expectNothing(t, socket)
	quietLog(t, umbra, "datagrams dropped")
}

// ipv6 returns the type and the bytes of an IPv6 address in a header.
func ipv6(ip string) []byte {
	b := netip.MustParseAddr(ip).As16()
	return append([]byte{4}, b[:]...)
}

// TestPacketsNames reaches an allowed target by name: the answer contains its address.
func TestPacketsNames(t *testing.T) {
	server := peer.FreePort(t)
	run(t, strings.Replace(serverFile(server, method), `"127.0.0.0/8", "::1"`, `"127.0.0.1"`, 1), server).WaitPackets(t, server)
	a, target := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1")
	port := netip.MustParseAddrPort(target.addr).Port()
	for i, host := range []string{"localhost", "LocalHost", "127.0.0.1", "localhost"} {
		payload := fmt.Sprint("hello ", i)
		a.send(t, fmt.Sprintf("%s:%d", host, port), payload)
		a.expect(t, target.addr, payload)
	}
}

// TestPacketsLoop requests the server's own port as the target, with a payload that would be a valid
// request there.
func TestPacketsLoop(t *testing.T) {
	server := peer.FreePort(t)
	umbra := run(t, serverFile(server, method), server)
	umbra.WaitPackets(t, server)
	a, target := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1")
	const looped = "came in again"
	client := packetClient(t, method)
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"} {
		a.send(t, fmt.Sprintf("%s:%d", host, server), sealed(t, client, target.addr, looped))
		for range 3 { // a relayed datagram would have arrived by then
			a.exchange(t, target.addr, "after "+host)
		}
	}
	if n := target.times(looped); n > 0 {
		t.Errorf("%d requests came from the server itself, want none", n)
	}
	if strings.Contains(umbra.Output(), "datagram dropped") {
		t.Errorf("the server has sent itself something:\n%s", umbra.Output())
	}
}
