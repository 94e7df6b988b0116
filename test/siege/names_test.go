package siege

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestDeadNames has one client ask for 500 names that the name server does not answer,
// and another for a name that it answers, while the first ones are under way. The other
// client is served although the first asks for more than may be looked up at once.
func TestDeadNames(t *testing.T) {
	t.Parallel()
	const wait, dead = 30 * time.Second, 500
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var silent atomic.Int32 // queries without an answer
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := server.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if n < 12+1+4 || buf[13]|0x20 == 'd' {
				silent.Add(1)
				continue
			}
			end := 12
			for buf[end] != 0 {
				end += 1 + int(buf[end])
			}
			kind := binary.BigEndian.Uint16(buf[end+1:])
			msg := append([]byte(nil), buf[:end+5]...)
			msg[2], msg[3] = 0x81, 0x80
			clear(msg[6:12])
			if kind == 1 {
				msg[7] = 1
				msg = append(msg, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
			}
			_, _ = server.WriteToUDP(msg, from)
		}
	}()
	defer func() { server.Close(); <-done }()
	port := peer.FreePort(t)
	path := write(t, "umbra.toml", fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "resolver.dns", "outbound.direct"]
[inbound.socks5]
listen = %q
[resolver.dns]
servers = [%q]
timeout = "5s"
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(port), server.LocalAddr()))
	umbra := peer.Start(t, []string{asUmbra + "=1"}, self(t), "run", path)
	umbra.WaitListen(t, port)
	request := func(from, name string, at int) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", peer.Addr(port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(wait))
		ask := append([]byte{5, 1, 0, 5, 1, 0, 3, byte(len(name))}, name...)
		if _, err := c.Write(binary.BigEndian.AppendUint16(ask, uint16(at))); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for i := range dead {
		request("127.0.0.2", fmt.Sprintf("dead%d.example", i), 80)
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(wait); silent.Load() < 100; <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("only %d dead queries came", silent.Load())
		}
	}
	for i := range 10 {
		c := request("127.0.0.1", fmt.Sprintf("good%d.example", i), target.Addr().(*net.TCPAddr).Port)
		var answer [12]byte
		if _, err := io.ReadFull(c, answer[:]); err != nil || answer[3] != 0 {
			t.Fatalf("good%d: got %x, %v, want the reply 0", i, answer, err)
		}
	}
}
