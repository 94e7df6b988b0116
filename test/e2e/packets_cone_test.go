package e2e

import (
	"net"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestPacketsFullCone uses one association with several targets: all see the same source, and a
// datagram to that source reaches the client with its true source address, even from a peer to which
// the client has not sent.
func TestPacketsFullCone(t *testing.T) {
	hosts := []string{"127.0.0.1", "127.0.0.1", "127.0.0.2"}
	if hasIPv6(t) {
		hosts = append(hosts, "::1")
	}
	for _, tc := range []struct {
		name  string
		proxy func(t testing.TB) int
	}{
		{"direct", umbraDirect},
		{"one hop", func(t testing.TB) int { return umbraLocal(t, method, umbraServer(t, method)) }},
		{"three hops", func(t testing.TB) int {
			return umbraLocal(t, method, umbraServer(t, method), umbraServer(t, method), umbraServer(t, method))
		}},
		{"ss-local", func(t testing.TB) int { return peer.SSLocal(t, method, umbraServer(t, method)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := associate(t, tc.proxy(t))
			var targets []*packetTarget
			for range 2 { // the second round uses known targets
				for i, host := range hosts {
					if len(targets) == i {
						targets = append(targets, newEcho(t, host))
					}
					a.exchange(t, targets[i].addr, "hello "+host)
				}
			}
			outside := targets[0].from()[0]
			for _, target := range targets {
				if got := target.from(); len(got) != 1 || got[0].Port() != outside.Port() {
					t.Errorf("%s saw the sources %v, want the port %d alone", target.addr, got, outside.Port())
				}
			}
			for _, host := range []string{"127.0.0.1", "127.0.0.3"} {
				third := listenPackets(t, host)
				writePacket(t, third, outside, "from a third party")
				a.expect(t, third.LocalAddr().String(), "from a third party")
				a.send(t, third.LocalAddr().String(), "and back")
				if got, from := readPacket(t, third); got != "and back" || from != outside {
					t.Errorf("got %s from %s, want the client's answer from %s", summary(got), from, outside)
				}
			}
		})
	}
}

// TestPacketsApart opens two associations: they have different sources, and neither receives datagrams
// for the other.
func TestPacketsApart(t *testing.T) {
	proxy := umbraLocal(t, method, umbraServer(t, method))
	target := newEcho(t, "127.0.0.1")
	a, b := associate(t, proxy), associate(t, proxy)
	a.send(t, target.addr, "of a")
	b.exchange(t, target.addr, "of b")
	a.expect(t, target.addr, "of a")
	if got := target.from(); len(got) != 2 {
		t.Errorf("the target saw the sources %v of two associations, want two", got)
	}
}

// TestPacketsTargetAway sends to a port without a socket: the error of the system does not end the
// association, and datagrams arrive once a socket is bound.
func TestPacketsTargetAway(t *testing.T) {
	for _, tc := range []struct {
		name  string
		proxy func(t testing.TB) int
	}{
		{"direct", umbraDirect},
		{"one hop", func(t testing.TB) int { return umbraLocal(t, method, umbraServer(t, method)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, other := associate(t, tc.proxy(t)), newEcho(t, "127.0.0.1")
			away := net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: peer.FreePort(t)}
			for range 10 {
				a.send(t, away.String(), "is anybody there?")
				a.exchange(t, other.addr, "to somebody else")
			}
			target, err := net.ListenUDP("udp", &away)
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			_ = target.SetReadDeadline(soon())
			a.send(t, away.String(), "now?")
			if got, _ := readPacket(t, target); got != "now?" {
				t.Errorf("got %s, want %q", summary(got), "now?")
			}
		})
	}
}

// TestPacketsServerAway sends to a missing server: datagrams are lost, and arrive within the same
// association once the server is running.
func TestPacketsServerAway(t *testing.T) {
	server := peer.FreePort(t)
	a, target := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1")
	for range 10 {
		a.send(t, target.addr, "lost")
	}
	run(t, serverFile(server, method), server).WaitPackets(t, server)
	a.send(t, target.addr, "found")
	a.until(t, "found")
}

// umbraDirect runs a SOCKS5 side with a direct outbound, and returns its port.
func umbraDirect(t testing.TB) int {
	t.Helper()
	proxy := peer.FreePort(t)
	run(t, directFile(proxy), proxy)
	return proxy
}

// hasIPv6 reports whether this machine has the address ::1.
func hasIPv6(t testing.TB) bool {
	t.Helper()
	socket, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Logf("without IPv6: %v", err)
		return false
	}
	socket.Close()
	return true
}
