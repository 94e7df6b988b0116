package field

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestSharedUDP has clients of one address use UDP on the port of TCP, through a reload, each
// of them by a socket of its own.
func TestSharedUDP(t *testing.T) {
	t.Parallel()
	port := peer.FreePort(t)
	file := fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = ":%d"
allow_open = true
udp_shared = true
[outbound.direct]
allow = ["127.0.0.1"]
`, port)
	path := filepath.Join(t.TempDir(), "umbra.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	umbra := runAt(t, path, nil, port)
	targets := []netip.AddrPort{listenPacketEcho(t), listenPacketEcho(t), listenPacketEcho(t)}
	var controls []net.Conn
	var sockets []*net.UDPConn
	open := func() *net.UDPConn {
		t.Helper()
		control, rep := dialSOCKS(t, port, 3, "0.0.0.0:0")
		if rep != 0 {
			t.Fatalf("ASSOCIATE: got the reply %d", rep)
		}
		controls = append(controls, control)
		// TestSharedUDPReply reads the address.
		socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.Addr(port))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket.Close() })
		sockets = append(sockets, socket)
		return socket
	}
	for i := range 2 {
		talk(t, open(), targets[i])
	}
	// Each socket gets the answers to its own datagrams alone: their sources tell.
	own := func() {
		t.Helper()
		for i, socket := range sockets[:2] {
			talk(t, socket, targets[i])
			drain(t, socket, targets[i])
		}
	}
	own()
	umbra.Signal(t, syscall.SIGHUP)
	umbra.WaitOutput(t, "generation=2")
	own()
	talk(t, open(), targets[2])

	// The end of the control connection ends the association, and its port is free for another.
	controls[0].Close()
	next, rep := dialSOCKS(t, port, 3, "0.0.0.0:0")
	if rep != 0 {
		t.Fatalf("ASSOCIATE: got the reply %d", rep)
	}
	talk(t, sockets[0], targets[0])
	next.Close()

	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.Addr(port))))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	// The first ones may still belong to the association that ends.
	const line = "datagrams dropped: they belong to no association"
	umbra.Until(t, "print "+line, func() bool {
		if _, err := stranger.Write(append(socksaddr.Append([]byte{0, 0, 0}, core.AddrFrom(targets[0])), "x"...)); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(umbra.Output(), line)
	})
}

// drain reads what a socket has got, and wants all of it from one source.
func drain(t testing.TB, socket *net.UDPConn, source netip.AddrPort) {
	t.Helper()
	want := string(socksaddr.Append([]byte{0, 0, 0}, core.AddrFrom(source)))
	buf := make([]byte, 2000)
	_ = socket.SetReadDeadline(time.Now())
	for {
		n, err := socket.Read(buf)
		if err != nil {
			return
		}
		if !strings.HasPrefix(string(buf[:n]), want) {
			t.Errorf("got a datagram from another source than %s: %x", source, buf[:n])
		}
	}
}

// TestSharedUDPReply reads the replies at two addresses of one inbound: each has the port of
// TCP and the address of the client's connection, and datagrams to it are answered from there.
func TestSharedUDPReply(t *testing.T) {
	t.Parallel()
	port, second := peer.FreePort(t), peer.FreePort(t)
	run(t, fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = [":%d", "127.0.0.1:%d"]
allow_open = true
udp_shared = true
[outbound.direct]
allow = ["127.0.0.1"]
`, port, second), port, second)
	for _, port := range []int{port, second} {
		c, err := net.Dial("tcp", peer.Addr(port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		var answer [12]byte
		if _, err := io.ReadFull(c, answer[:]); err != nil {
			t.Fatal(err)
		}
		at, _, err := socksaddr.Decode(answer[5:])
		if answer[3] != 0 || err != nil || at.String() != peer.Addr(port) {
			t.Fatalf("got %x, %v, %v, want reply 0 with %s", answer, at, err, peer.Addr(port))
		}
		socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at.String())))
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		talk(t, socket, listenPacketEcho(t))
	}
}
