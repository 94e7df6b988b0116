package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestPacketsStrangers sends datagrams to an association from other addresses and ports than the
// client's: none passes, and the association stays bound to the client.
func TestPacketsStrangers(t *testing.T) {
	proxy := umbraDirect(t)
	for _, tc := range []struct {
		name     string
		named    func(client netip.AddrPort) string // address in the request of a client that sends from client
		stranger string
	}{
		{"other address", func(netip.AddrPort) string { return nowhere }, "127.0.0.2"},
		{"other address, port named", netip.AddrPort.String, "127.0.0.2"},
		{"other port, named with the address", netip.AddrPort.String, "127.0.0.1"},
		{"other port, named alone", func(client netip.AddrPort) string { return fmt.Sprintf("0.0.0.0:%d", client.Port()) }, "127.0.0.1"},
		{"other port, named alone as IPv6", func(client netip.AddrPort) string { return fmt.Sprintf("[::]:%d", client.Port()) }, "127.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			target := newEcho(t, "127.0.0.1")
			socket := listenPackets(t, "127.0.0.1")
			a, err := openAssociation(peer.Addr(proxy), tc.named(socket.LocalAddr().(*net.UDPAddr).AddrPort()))
			if err != nil {
				t.Fatal(err)
			}
			a.socket.Close()
			a.socket = socket
			t.Cleanup(func() { a.Close() })
			stranger := listenPackets(t, tc.stranger)
			intrude := func() {
				t.Helper()
				datagram, err := appendDatagram(nil, target.addr, []byte("from a stranger"))
				if err != nil {
					t.Fatal(err)
				}
				writePacket(t, stranger, a.relay, string(datagram))
			}
			intrude()
			a.exchange(t, target.addr, "first")
			intrude()
			a.exchange(t, target.addr, "second")
			if n := target.times("from a stranger"); n > 0 {
				t.Errorf("%d datagrams of a stranger passed, want none", n)
			}
			expectNothing(t, stranger)
		})
	}
}

// TestPacketsFirstPins fixes the port by the first datagram if the request does not contain the
// client's port, as behind a NAT.
func TestPacketsFirstPins(t *testing.T) {
	proxy := umbraDirect(t)
	for _, named := range []string{nowhere, "127.0.0.1:0", "10.1.2.3:4000", "[::]:0", "localhost:4000"} {
		t.Run(named, func(t *testing.T) {
			t.Parallel()
			target := newEcho(t, "127.0.0.1")
			a, err := openAssociation(peer.Addr(proxy), named)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { a.Close() })
			b := &association{control: a.control, socket: listenPackets(t, "127.0.0.1"), relay: a.relay, in: make([]byte, 100)}
			a.exchange(t, target.addr, "of the first port")
			b.send(t, target.addr, "of another port")
			a.exchange(t, target.addr, "of the first port again")
			if n := target.times("of another port"); n > 0 {
				t.Errorf("%d datagrams of a second port passed, want none", n)
			}
		})
	}
}

// TestPacketsEnd closes the control connection: the relay's port is free soon, while other
// associations continue.
func TestPacketsEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(a *association) error
	}{
		{"fin", func(a *association) error { return a.control.CloseWrite() }},
		{"close", func(a *association) error { return a.control.Close() }},
		{"reset", func(a *association) error { return errors.Join(a.control.SetLinger(0), a.control.Close()) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			proxy := peer.FreePort(t)
			umbra := run(t, directFile(proxy), proxy)
			base := umbra.Descriptors(t)
			target, other := newEcho(t, "127.0.0.1"), associate(t, proxy)
			used, unused := associate(t, proxy), associate(t, proxy)
			used.exchange(t, target.addr, "hello")
			for _, a := range []*association{used, unused} {
				if err := tc.end(a); err != nil {
					t.Fatal(err)
				}
				umbra.WaitNoPackets(t, int(a.relay.Port()))
			}
			other.exchange(t, target.addr, "still here")
			other.Close()
			umbra.Until(t, "close all descriptors", func() bool { return umbra.Descriptors(t) <= base })
		})
	}
}

// TestPacketsReplyAddress reaches a proxy at several addresses of the machine: each association is at
// the address to which its client connected.
func TestPacketsReplyAddress(t *testing.T) {
	proxy := peer.FreePort(t)
	file := with(directFile(proxy), "[inbound.socks5]", "users = { alice = \"in wonderland\" }")
	run(t, strings.Replace(file, peer.Addr(proxy), fmt.Sprintf(":%d", proxy), 1), proxy)
	hosts := []string{"127.0.0.1", "127.0.0.3"}
	if hasIPv6(t) {
		hosts = append(hosts, "::1")
	}
	target := newEcho(t, "127.0.0.1")
	for _, host := range hosts {
		a, err := openAssociation(netip.AddrPortFrom(netip.MustParseAddr(host), uint16(proxy)).String(), nowhere, "alice", "in wonderland")
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		defer a.Close()
		if got := a.relay.Addr().String(); got != host {
			t.Errorf("the reply to a client that connected to %s contains %s", host, a.relay)
		}
		a.exchange(t, target.addr, "to "+host)
	}
	for _, wrong := range [][]string{nil, {"alice", "in chains"}, {"bob", "in wonderland"}} {
		if a, err := openAssociation(peer.Addr(proxy), nowhere, wrong...); err == nil {
			a.Close()
			t.Errorf("an association for %q, want none", wrong)
		}
	}
}

// TestPacketsPorts uses all ports of the range for associations: the next association is refused,
// until a port is free again.
func TestPacketsPorts(t *testing.T) {
	proxy := peer.FreePort(t)
	ports := twoPorts(t)
	umbra := run(t, with(directFile(proxy), "[inbound.socks5]", fmt.Sprintf("udp_ports = \"%d-%d\"", ports[0], ports[1])), proxy)
	target := newEcho(t, "127.0.0.1")
	a, b := associate(t, proxy), associate(t, proxy)
	got := []int{int(a.relay.Port()), int(b.relay.Port())}
	if slices.Sort(got); !slices.Equal(got, ports) {
		t.Errorf("the associations have the ports %v, want %v", got, ports)
	}
	var refused replyError
	if _, err := openAssociation(peer.Addr(proxy), nowhere); !errors.As(err, &refused) || refused != 1 {
		t.Errorf("a third association: got %v, want %v", err, replyError(1))
	}
	a.exchange(t, target.addr, "the first")
	b.exchange(t, target.addr, "the second")
	a.Close()
	umbra.WaitNoPackets(t, int(a.relay.Port()))
	c := associate(t, proxy)
	if c.relay != a.relay {
		t.Errorf("the next association is at %s, want %s", c.relay, a.relay)
	}
	c.exchange(t, target.addr, "the third")
}

// twoPorts returns two consecutive free ports.
func twoPorts(t testing.TB) []int {
	t.Helper()
	for last := peer.FreePort(t); ; {
		next := peer.FreePort(t)
		if next == last+1 {
			return []int{last, next}
		}
		last = next
	}
}

// TestPacketsMode has a proxy serve one of TCP and UDP: it refuses commands of
// the other, and does not listen for it.
func TestPacketsMode(t *testing.T) {
	for _, tc := range []struct {
		mode               string
		connect, associate error
	}{
		{"tcp", nil, replyError(7)},
		{"udp", replyError(7), nil},
		{"both", nil, nil},
	} {
		t.Run(tc.mode, func(t *testing.T) {
			t.Parallel()
			proxy := peer.FreePort(t)
			run(t, with(directFile(proxy), "[inbound.socks5]", fmt.Sprintf("mode = %q", tc.mode)), proxy)
			target := newGreeter(t, "hello")
			if err := connect(dial(t, proxy), target.addr); !errors.Is(err, tc.connect) {
				t.Errorf("CONNECT: got %v, want %v", err, tc.connect)
			}
			a, err := openAssociation(peer.Addr(proxy), nowhere)
			if !errors.Is(err, tc.associate) {
				t.Errorf("ASSOCIATE: got %v, want %v", err, tc.associate)
			}
			if err == nil {
				defer a.Close()
				a.exchange(t, newEcho(t, "127.0.0.1").addr, "hello")
			}
		})
	}
}
