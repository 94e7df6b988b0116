package field

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestDropsAreSeen has datagrams dropped for reasons that people meet, at the default level of
// the log: it says how many, where and why.
func TestDropsAreSeen(t *testing.T) {
	t.Parallel()
	port, server := peer.FreePort(t), peer.FreePort(t)
	umbra := run(t, fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.direct"]
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.socks5]
listen = %q
[inbound.ss]
listen = %q
mode = "both"
cipher = "house"
[outbound.direct]
allow = ["127.0.0.2"]
[cipher.house]
kind = "2022-blake3-aes-128-gcm"
password = "MDEyMzQ1Njc4OWFiY2RlZg=="
`, peer.Addr(port), peer.Addr(server)), port, server)

	stranger, err := net.Dial("udp", peer.Addr(server))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Write(make([]byte, 200)); err != nil {
		t.Fatal(err)
	}
	umbra.WaitOutput(t, "datagrams dropped: they can't be opened")

	control, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	_ = control.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := control.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte
	if _, err := io.ReadFull(control, answer[:]); err != nil || answer[3] != 0 {
		t.Fatalf("got %x, %v, want the reply 0", answer, err)
	}
	addr, _, err := socksaddr.Decode(answer[5:])
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr.AddrPort()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	// The association takes datagrams in order: when the last one is at its target, the others
	// have been dropped.
	datagram := func(fragment byte, target string) {
		t.Helper()
		to, err := core.ParseAddr(target)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write(append(socksaddr.Append([]byte{0, 0, fragment}, to), "x"...)); err != nil {
			t.Fatal(err)
		}
	}
	datagram(1, "192.0.2.1:53")
	datagram(0, "127.0.0.1:53")
	datagram(0, "127.0.0.1:53")
	if _, err := client.Write([]byte("no datagram of SOCKS5")); err != nil {
		t.Fatal(err)
	}
	target, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	datagram(0, target.LocalAddr().String())
	_ = target.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := target.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{ // while the association lasts
		"outbound=direct reason=denied",
		"inbound=socks5 reason=fragment",
		"inbound=socks5 reason=malformed",
	} {
		umbra.WaitOutput(t, want)
	}
}
