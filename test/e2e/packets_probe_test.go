package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/impair"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestPacketsReplay sends recordings to a server, from the original and from another address: none
// reaches the target, and none is answered.
func TestPacketsReplay(t *testing.T) {
	server := peer.FreePort(t)
	path := write(t, "server.toml", serverFile(server, method))
	umbra := runAt(t, path, server)
	umbra.WaitPackets(t, server)
	record := impair.PacketDirection{Record: true}
	relay := impair.NewPackets(t, peer.Addr(server), impair.PacketOptions{Up: record, Down: record})
	a, target := associate(t, umbraLocal(t, method, portOf(t, relay.Addr()))), newEcho(t, "127.0.0.1")
	a.exchange(t, target.addr, "first")
	a.exchange(t, target.addr, "second")
	requests, answers := relay.Recorded()
	if len(requests) != 2 || len(answers) != 2 {
		t.Fatalf("recorded %d requests and %d answers, want 2 each", len(requests), len(answers))
	}

	elsewhere := listenPackets(t, "127.0.0.2")
	replay := func(name string) {
		t.Helper()
		for _, recording := range append(requests, answers...) {
			if err := relay.InjectUp(0, recording); err != nil {
				t.Fatal(err)
			}
			writePacket(t, elsewhere, netip.MustParseAddrPort(peer.Addr(server)), string(recording))
		}
		a.exchange(t, target.addr, "after a replay "+name)
		for payload, times := range target.all() {
			if times != 1 {
				t.Errorf("%s: %q reached the target %d times, want once", name, payload, times)
			}
		}
		expectNothing(t, elsewhere)
	}
	replay("at once")
	reload(t, umbra, 2)
	replay("after a reload")
	save(t, path, serverFile(server, method)+"\n[process]\ngrace = \"5s\"\n")
	reload(t, umbra, 3)
	replay("after a reload of another file")
	if got := target.from(); len(got) != 1 {
		t.Errorf("the target saw the sources %v, want one", got)
	}
	if got, want := strings.Count(umbra.Output(), "err=replayed")-strings.Count(umbra.Output(), "reason=replay err=replayed"), 3*2*4; got != want {
		t.Errorf("%d replays were logged, want %d", got, want)
	}
	quietLog(t, umbra, "datagrams dropped")
}

// TestPacketsGarbage sends datagrams of every size up to an Ethernet frame to a server: it sends nothing,
// keeps no state, and continues to work.
func TestPacketsGarbage(t *testing.T) {
	const longest, window = 1500, 50
	server := peer.FreePort(t)
	umbra := run(t, serverFile(server, method), server)
	umbra.WaitPackets(t, server)
	a, target := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1")
	a.exchange(t, target.addr, "hello")
	base := umbra.Descriptors(t)
	strangers := []*net.UDPConn{listenPackets(t, "127.0.0.1"), listenPackets(t, "127.0.0.2")}
	to := netip.MustParseAddrPort(peer.Addr(server))
	for size := range longest + 1 {
		writePacket(t, strangers[size%2], to, pattern(size, 0))
		if size%window == window-1 {
			a.exchange(t, target.addr, fmt.Sprint("after garbage of ", size))
		}
	}
	a.exchange(t, target.addr, "after all garbage")
	if got := umbra.Descriptors(t); got != base {
		t.Errorf("the server has %d descriptors open, want the %d of before", got, base)
	}
	for _, stranger := range strangers {
		expectNothing(t, stranger)
	}
	umbra.Until(t, fmt.Sprintf("log %d dropped datagrams", longest+1), func() bool {
		return strings.Count(umbra.Output(), "datagram dropped") == longest+1
	})
	if n := strings.Count(umbra.Output(), "association closed"); n > 0 {
		t.Errorf("%d associations ended, want none to have begun but the client's", n)
	}
	quietLog(t, umbra, "datagrams dropped")
}

// TestPacketsOtherMethods uses clients with the server's password and other methods: no datagram passes,
// and none is answered.
func TestPacketsOtherMethods(t *testing.T) {
	server := peer.FreePort(t)
	umbra := run(t, serverFile(server, method), server)
	umbra.WaitPackets(t, server)
	target, to := newEcho(t, "127.0.0.1"), netip.MustParseAddrPort(peer.Addr(server))
	for _, other := range methods() {
		if other == method {
			continue
		}
		socket := listenPackets(t, "127.0.0.1")
		writePacket(t, socket, to, sealed(t, packetClient(t, other), target.addr, "under "+other))
		writePacket(t, socket, to, sealed(t, packetClient(t, method), target.addr, "under the method of the server"))
		got, from := readPacket(t, socket)
		payload, source, err := packetClient(t, method).OpenPacket([]byte(got))
		if from != to || err != nil || string(payload) != "under the method of the server" || source.String() != target.addr {
			t.Errorf("%s: got %q from %s by %s and %v, want the echo of the good datagram", other, payload, source, from, err)
		}
		if n := target.times("under " + other); n > 0 {
			t.Errorf("%s: reached the target of a server of %s", other, method)
		}
	}
	quietLog(t, umbra, "datagrams dropped")
}
