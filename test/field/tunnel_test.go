package field

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// tunnelFile takes a port of this machine to a target, through a server.
func tunnelFile(port, server int, target string) string {
	return fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.tunnel", "outbound.ss"]
[inbound.tunnel]
listen = %q
target = %q
[outbound.ss]
server = %q
cipher = "house"
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %[3]q
cipher = "house"
[outbound.direct]
allow = ["127.0.0.0/8"]
[cipher.house]
kind = "2022-blake3-aes-128-gcm"
password = "AAECAwQFBgcICQoLDA0ODw=="
`, peer.Addr(port), target, peer.Addr(server))
}

// TestTunnelServerFirst: a server that speaks before its client, as those of SSH and mail do,
// is heard, and a client that ends its direction still gets the answer.
func TestTunnelServerFirst(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for { // that umbra listens is found out by connections, which come here too
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(c, "220 ready\r\n")
				all, _ := io.ReadAll(c)
				_, _ = c.Write(bytes.ToUpper(all))
			})
		}
	})
	t.Cleanup(func() { ln.Close(); serving.Wait() })
	port, server := peer.FreePort(t), peer.FreePort(t)
	run(t, tunnelFile(port, server, ln.Addr().String()), port, server)
	c, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); line != "220 ready\r\n" || err != nil {
		t.Fatalf("got %q, %v before a byte of the client, want the server's greeting", line, err)
	}
	_, _ = io.WriteString(c, "quit")
	_ = c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(r); string(rest) != "QUIT" || err != nil {
		t.Errorf("after the client's end: got %q, %v, want QUIT", rest, err)
	}
}

// TestTunnelNames asks a DNS server behind a tunnel, by UDP and by TCP.
func TestTunnelNames(t *testing.T) {
	t.Parallel()
	dig := peer.Need(t, "dig")
	names := peer.DNSServer(t, "address=/one.test/192.0.2.7\n")
	port, server := peer.FreePort(t), peer.FreePort(t)
	run(t, tunnelFile(port, server, peer.Addr(names)), port, server).WaitPackets(t, port)
	for _, how := range []string{"+notcp", "+tcp"} {
		out, err := exec.Command(dig, "@127.0.0.1", "-p", strconv.Itoa(port), "+short", "+tries=5", how, "one.test", "A").CombinedOutput()
		if strings.TrimSpace(string(out)) != "192.0.2.7" || err != nil {
			t.Errorf("dig %s: got %q, %v, want 192.0.2.7", how, out, err)
		}
	}
}
