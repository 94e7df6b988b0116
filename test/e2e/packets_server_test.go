package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestPacketsEveryAddress uses a server that listens on every address of the machine: each client is
// answered from the address to which it sent, also in bursts.
func TestPacketsEveryAddress(t *testing.T) {
	for _, tc := range []struct {
		name, every string
		hosts       []string
	}{
		{"IPv4", "0.0.0.0", []string{"127.0.0.1", "127.0.0.3"}},
		{"both families", "", []string{"127.0.0.1", "127.0.0.3", "::1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := peer.FreePort(t)
			file := strings.Replace(serverFile(server, method), peer.Addr(server), fmt.Sprintf("%s:%d", tc.every, server), 1)
			run(t, file, server).WaitPackets(t, server)
			target, client := newEcho(t, "127.0.0.1"), packetClient(t, method)
			for _, host := range tc.hosts {
				if host == "::1" && !hasIPv6(t) {
					continue
				}
				to := netip.AddrPortFrom(netip.MustParseAddr(host), uint16(server))
				socket := listenPackets(t, strings.Replace(host, ".3", ".1", 1))
				due := map[string]bool{}
				for i := range 20 {
					payload := fmt.Sprintf("number %02d to %s", i, host)
					due[payload] = true
					writePacket(t, socket, to, sealed(t, client, target.addr, payload))
				}
				for len(due) > 0 {
					wire, from := readPacket(t, socket)
					payload, _, err := client.OpenPacket([]byte(wire))
					if err != nil || from != to || !due[string(payload)] {
						t.Fatalf("got %q from %s and %v, want an echo from %s", payload, from, err, to)
					}
					delete(due, string(payload))
				}
			}
		})
	}
}

// TestPacketsServerMode uses a server that serves only TCP or only UDP.
func TestPacketsServerMode(t *testing.T) {
	for _, tc := range []struct {
		mode         string
		tcp, packets bool
	}{
		{"tcp", true, false},
		{"udp", false, true},
		{"both", true, true},
	} {
		t.Run(tc.mode, func(t *testing.T) {
			t.Parallel()
			server := peer.FreePort(t)
			run(t, with(serverFile(server, method), "[inbound.ss]", fmt.Sprintf("mode = %q", tc.mode))).WaitOutput(t, "umbra started")
			if got := peer.TakesPackets(server); got != tc.packets {
				t.Errorf("takes UDP: got %t, want %t", got, tc.packets)
			}
			c, err := net.Dial("tcp", peer.Addr(server))
			if tc.tcp != (err == nil) || err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dial: got %v, want TCP to be served: %t", err, tc.tcp)
			}
			if err == nil {
				c.Close()
			}
			if tc.packets {
				associate(t, umbraLocal(t, method, server)).exchange(t, newEcho(t, "127.0.0.1").addr, "hello")
			}
		})
	}
}

// TestPacketsPortTaken starts a server, and reloads another, on a port that is in use for UDP only: the
// first ends with an error, the second continues unchanged.
func TestPacketsPortTaken(t *testing.T) {
	taken := peer.FreePort(t)
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.Addr(taken))))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	want := "inbound.ss.listen: listen on " + peer.Addr(taken) + ", UDP: bind: address already in use"
	failing := run(t, serverFile(taken, method))
	if status := failing.Wait(t); status != 1 || !strings.Contains(failing.Output(), want) {
		t.Errorf("exit status %d and\n%s\nwant 1 and %q", status, failing.Output(), want)
	}

	server := peer.FreePort(t)
	path := write(t, "server.toml", serverFile(server, method))
	umbra := runAt(t, path, server)
	umbra.WaitPackets(t, server)
	a, target := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1")
	a.exchange(t, target.addr, "before")
	save(t, path, serverFile(taken, method))
	umbra.Signal(t, syscall.SIGHUP)
	umbra.WaitOutput(t, "not reloaded")
	a.exchange(t, target.addr, "after")
	if got := target.from(); len(got) != 1 {
		t.Errorf("the target saw the sources %v, want one", got)
	}
	c, err := net.Dial("tcp", peer.Addr(taken))
	if err == nil {
		c.Close()
		t.Errorf("TCP is served on %s, whose UDP is taken", peer.Addr(taken))
	}
}

// TestPacketsOneProcess runs the client and the server in one process, as the example file does.
func TestPacketsOneProcess(t *testing.T) {
	server, proxy := peer.FreePort(t), peer.FreePort(t)
	local := strings.Replace(localFile(proxy, method, server), "[log]\nlevel = \"debug\"\n", "", 1)
	local = strings.Replace(local, cipherTable("house", method), "", 1)
	run(t, serverFile(server, method)+local, proxy, server).WaitPackets(t, server)
	echoPackets(t, proxy, 0, 1, 1400, 60_000)
}

// TestPacketsServerName uses servers with host names, the second of which is resolved by the first.
func TestPacketsServerName(t *testing.T) {
	proxy, servers := peer.FreePort(t), []int{peer.FreePort(t), peer.FreePort(t)}
	for _, server := range servers { // on every address, because the name may resolve to ::1
		file := strings.Replace(serverFile(server, method), peer.Addr(server), fmt.Sprintf(":%d", server), 1)
		run(t, file, server).WaitPackets(t, server)
	}
	run(t, strings.ReplaceAll(localFile(proxy, method, servers...), "server = \"127.0.0.1:", "server = \"localhost:"), proxy)
	echoPackets(t, proxy, 0, 1, 1400, 60_000)
}

// TestPacketsServerRestart ends a server and starts it again: a running association reaches the new
// server.
func TestPacketsServerRestart(t *testing.T) {
	server := peer.FreePort(t)
	first := run(t, serverFile(server, method), server)
	first.WaitPackets(t, server)
	a, target := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1")
	a.exchange(t, target.addr, "to the first")
	first.Stop()
	a.send(t, target.addr, "to nobody")
	run(t, serverFile(server, method), server).WaitPackets(t, server)
	a.send(t, target.addr, "to the second")
	a.until(t, "to the second")
}

// TestPacketsMany opens and ends associations from several programs concurrently, each with its own
// traffic, and some with bytes on the control connection, which must be ignored.
func TestPacketsMany(t *testing.T) {
	const programs, each, datagrams = 8, 25, 4
	server, proxy := peer.FreePort(t), peer.FreePort(t)
	far, near := run(t, serverFile(server, method), server), run(t, localFile(proxy, method, server), proxy)
	far.WaitPackets(t, server)
	base := near.Descriptors(t)
	target := newEcho(t, "127.0.0.1")
	var running sync.WaitGroup
	for program := range programs {
		running.Go(func() {
			for i := range each {
				if err := chat(proxy, target.addr, fmt.Sprintf("%d.%d", program, i), datagrams); err != nil {
					t.Errorf("program %d, association %d: %v", program, i, err)
					return
				}
			}
		})
	}
	running.Wait()
	if got, want := len(target.all()), programs*each*datagrams; got != want {
		t.Errorf("%d different datagrams reached the target, want %d", got, want)
	}
	near.Until(t, "close all descriptors", func() bool { return near.Descriptors(t) <= base })
	quietLog(t, near)
	quietLog(t, far)
}

// chat opens an association, exchanges datagrams and ends it.
func chat(proxy int, target, name string, datagrams int) error {
	a, err := openAssociation(peer.Addr(proxy), nowhere)
	if err != nil {
		return err
	}
	defer a.Close()
	b := make([]byte, 100)
	for i := range datagrams {
		want := fmt.Sprintf("%s.%d", name, i)
		if _, err := a.control.Write([]byte(want)); err != nil {
			return err
		}
		if _, err := a.WriteTo([]byte(want), targetAddr(target)); err != nil {
			return err
		}
		n, from, err := a.ReadFrom(b)
		if err != nil {
			return err
		}
		if string(b[:n]) != want || from.String() != target {
			return fmt.Errorf("got %q from %s, want %q from %s", b[:n], from, want, target)
		}
	}
	return nil
}
