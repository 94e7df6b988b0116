package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestPacketsReload reloads both sides under traffic, with the same file and with another: no datagram is
// lost, and the source at the target stays the same.
func TestPacketsReload(t *testing.T) {
	const window, generations = 8, 21
	server, proxy := peer.FreePort(t), peer.FreePort(t)
	serverPath := write(t, "server.toml", serverFile(server, method))
	localPath := write(t, "local.toml", localFile(proxy, method, server))
	far, near := runAt(t, serverPath, server), runAt(t, localPath, proxy)
	far.WaitPackets(t, server)
	busy, idle := associate(t, proxy), associate(t, proxy)
	busyTarget, idleTarget := newEcho(t, "127.0.0.1"), newEcho(t, "127.0.0.1")
	idle.exchange(t, idleTarget.addr, "before")

	count := 0
	exchange := func() {
		t.Helper()
		due := map[string]bool{}
		for range window {
			payload := fmt.Sprint("number ", count)
			due[payload] = true
			busy.send(t, busyTarget.addr, payload)
			count++
		}
		for len(due) > 0 {
			payload, _ := busy.receive(t)
			if !due[payload] {
				t.Fatalf("got %q, want one of %v", payload, due)
			}
			delete(due, payload)
		}
	}
	exchange()
	for generation := 2; generation <= generations; generation++ {
		if generation == generations/2 {
			save(t, serverPath, with(serverFile(server, method), "[pipeline.server]", "idle_timeout = \"1m\""))
			save(t, localPath, with(localFile(proxy, method, server), "[pipeline.local]", "idle_timeout = \"1m\""))
		}
		for _, umbra := range []*peer.Process{far, near} {
			reloadDuring(t, umbra, generation, exchange)
		}
	}
	idle.exchange(t, idleTarget.addr, "after")
	if got := busyTarget.from(); len(got) != 1 {
		t.Errorf("the target of the busy association saw the sources %v, want one", got)
	}
	if got := idleTarget.from(); len(got) != 1 {
		t.Errorf("the target of the idle association saw the sources %v, want one", got)
	}
	for payload, times := range busyTarget.all() {
		if times != 1 {
			t.Errorf("%q reached the target %d times, want once", payload, times)
		}
	}
	quietLog(t, far)
	quietLog(t, near)
}

// reloadDuring reloads while do runs repeatedly, and continues to run do for a while after it.
func reloadDuring(t testing.TB, umbra *peer.Process, generation int, act func()) {
	t.Helper()
	umbra.Signal(t, syscall.SIGHUP)
	until := soon()
	for done := fmt.Sprintf("generation=%d ", generation); !strings.Contains(umbra.Output(), done); act() {
		if time.Now().After(until) {
			t.Fatalf("it did not reload in %s; it printed:\n%s", patience, umbra.Output())
		}
	}
	act()
}

// TestPacketsReloadNewcomers reloads a server while new clients arrive: the first datagram of each is
// served, before, during and after the reload.
func TestPacketsReloadNewcomers(t *testing.T) {
	const generations, window = 30, 16
	server := peer.FreePort(t)
	umbra := run(t, serverFile(server, method), server)
	umbra.WaitPackets(t, server)
	target, client := newEcho(t, "127.0.0.1"), packetClient(t, method)
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.Addr(server)))
	count := 0
	come := func() {
		t.Helper()
		var sockets []*net.UDPConn
		for range window {
			socket, err := net.DialUDP("udp", nil, to)
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			sockets = append(sockets, socket)
			if _, err := socket.Write([]byte(sealed(t, client, target.addr, fmt.Sprint("newcomer ", count)))); err != nil {
				t.Fatal(err)
			}
			count++
		}
		for i, socket := range sockets {
			_ = socket.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := socket.Read(make([]byte, 100)); err != nil {
				t.Fatalf("newcomer %d: %v, want an answer to its first datagram", count-window+i, err)
			}
		}
	}
	for generation := 2; generation <= generations; generation++ {
		reloadDuring(t, umbra, generation, come)
	}
}

// TestPacketsReloadAway removes UDP from a server's port by a reload, and adds it by another: running
// associations end, and TCP continues.
func TestPacketsReloadAway(t *testing.T) {
	server := peer.FreePort(t)
	path := write(t, "server.toml", serverFile(server, method))
	umbra := runAt(t, path, server)
	umbra.WaitPackets(t, server)
	base := umbra.Descriptors(t)
	a, target := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1")
	a.exchange(t, target.addr, "before")

	save(t, path, with(serverFile(server, method), "[inbound.ss]", "mode = \"tcp\""))
	reload(t, umbra, 2)
	umbra.WaitNoPackets(t, server)
	umbra.Until(t, "close what ran on the port", func() bool { return umbra.Descriptors(t) < base })
	if err := echoOnce(umbraLocal(t, method, server), newGreeter(t, "hello").addr); err != nil {
		t.Errorf("TCP without UDP: %v", err)
	}

	save(t, path, serverFile(server, method))
	reload(t, umbra, 3)
	umbra.WaitPackets(t, server)
	a.exchange(t, target.addr, "after")
	quietLog(t, umbra)
}

// TestPacketsReloadKey changes a server's password: datagrams under the old one are refused, also in old
// sessions.
func TestPacketsReloadKey(t *testing.T) {
	server := peer.FreePort(t)
	path := write(t, "server.toml", serverFile(server, method))
	umbra := runAt(t, path, server)
	umbra.WaitPackets(t, server)
	other := func(file string) string { return strings.Replace(file, peer.Password, "another long password", 1) }
	old, target := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1")
	old.exchange(t, target.addr, "under the old password")

	save(t, path, other(serverFile(server, method)))
	reload(t, umbra, 2)
	proxy := peer.FreePort(t)
	run(t, other(localFile(proxy, method, server)), proxy)
	fresh := associate(t, proxy)
	old.send(t, target.addr, "under the old password again")
	umbra.WaitOutput(t, "authentication failed")
	fresh.exchange(t, target.addr, "under the new password")
	if n := target.times("under the old password again"); n > 0 {
		t.Error("a datagram under the old password reached the target after the reload")
	}
}

// TestPacketsTerminate ends either side with an idle association and a running stream: associations do not
// delay the shutdown, streams do.
func TestPacketsTerminate(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(near, far *peer.Process) *peer.Process
	}{
		{"local side", func(near, _ *peer.Process) *peer.Process { return near }},
		{"server", func(_, far *peer.Process) *peer.Process { return far }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server, proxy := peer.FreePort(t), peer.FreePort(t)
			far, near := run(t, serverFile(server, method), server), run(t, localFile(proxy, method, server), proxy)
			far.WaitPackets(t, server)
			a, target := associate(t, proxy), newEcho(t, "127.0.0.1")
			a.exchange(t, target.addr, "hello")
			greeter := newGreeter(t, "hello")
			stream := dialSOCKS(t, proxy, greeter.addr)
			expect(t, stream, "hello\n")

			ending := tc.end(near, far)
			outside := target.from()[0]
			ending.Signal(t, syscall.SIGTERM)
			ending.WaitOutput(t, "association closed")
			if ending == far {
				ending.WaitNoPackets(t, server)
				ending.WaitNoPackets(t, int(outside.Port()))
			} else {
				_ = a.control.SetReadDeadline(soon())
				if n, err := a.control.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("the control connection read %d bytes and %v, want its end", n, err)
				}
				ending.WaitNoPackets(t, int(a.relay.Port()))
			}
			echo(t, stream, "while the rest drains\n")
			stream.Close()
			began := time.Now()
			if status := ending.Wait(t); status != 0 {
				t.Errorf("exit status %d, want 0", status)
			}
			if took := time.Since(began); took > 10*time.Second { // the grace period is 30 s
				t.Errorf("it took %s to end after its last stream, want it at once", took)
			}
		})
	}
}
