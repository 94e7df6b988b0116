package field

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// patience is the timeout of every wait of a test client.
const patience = time.Minute

// write writes a file to a folder of the test.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// dialSOCKS connects to a SOCKS5 proxy and requests a target, and returns the reply code.
func dialSOCKS(t testing.TB, proxy int, cmd byte, target string) (c net.Conn, rep byte) {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(proxy))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	addr, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(socksaddr.Append([]byte{5, 1, 0, 5, cmd, 0}, addr)); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		t.Fatalf("SOCKS5 answer for %s: %v", target, err)
	}
	return c, answer[3]
}

// listenEcho starts a TCP server that sends back what it gets, and returns its port.
func listenEcho(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(2 * patience))
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).Port
}

// socksFile is a SOCKS5 side on a port that reaches targets itself, with further stages
// and tables.
func socksFile(port int, stages, tables string) string {
	return fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", %s"outbound.direct"]
[inbound.socks5]
listen = %q
[outbound.direct]
allow = ["127.0.0.0/8", "::1"]
%s`, stages, peer.Addr(port), tables)
}
