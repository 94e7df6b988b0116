package siege

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestLoop has two servers of one process that dial each other, by a name that `check` does
// not know, and sends one request and one datagram. Each goes round once and ends; the
// process says so, and a chain that passes two of its own pipelines still serves.
func TestLoop(t *testing.T) {
	t.Parallel()
	hosts := write(t, "hosts", "127.0.0.1 self.example\n")
	local, a, b, server, good := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	umbra := peer.Start(t, []string{asUmbra + "=1"}, self(t), "run", write(t, "umbra.toml", fmt.Sprintf(`
[pipeline]
local = { chain = ["inbound.local", "outbound.a"] }
a = { chain = ["inbound.a", "outbound.b"] }
b = { chain = ["inbound.b", "outbound.a"] }
good = { chain = ["inbound.good", "outbound.server"] }
server = { chain = ["inbound.server", "outbound.direct"] }
[inbound]
local = { kind = "socks5", listen = "127.0.0.1:%d" }
good = { kind = "socks5", listen = "127.0.0.1:%d" }
a = { kind = "ss", cipher = "c", listen = "127.0.0.1:%d" }
b = { kind = "ss", cipher = "c", listen = "127.0.0.1:%d" }
server = { kind = "ss", cipher = "c", listen = "127.0.0.1:%d" }
[outbound]
a = { kind = "ss", cipher = "c", server = "self.example:%[3]d", resolver = "hosts" }
b = { kind = "ss", cipher = "c", server = "self.example:%[4]d", resolver = "hosts" }
server = { kind = "ss", cipher = "c", server = "self.example:%[5]d", resolver = "hosts" }
direct = { allow = ["127.0.0.0/8"] }
[cipher.c]
kind = "aes-128-gcm"
password = "correct horse battery staple"
[resolver.hosts]
file = %[6]q
`, local, good, a, b, server, hosts)))
	for _, port := range []int{local, a, b, server, good} {
		umbra.WaitListen(t, port)
	}
	before := umbra.Descriptors(t)
	request := func(port int) net.Conn {
		c, err := net.Dial("tcp", peer.Addr(port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		at := target.Addr().(*net.TCPAddr).Port
		if _, err := c.Write([]byte{5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, byte(at >> 8), byte(at)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if rest, _ := io.ReadAll(request(local)); len(rest) > 12 {
		t.Errorf("a loop: got %q", rest)
	}
	umbra.WaitOutput(t, "a request came back to its own pipeline")
	relay, control := associate(t, local)
	if _, err := relay.Write([]byte{0, 0, 0, 1, 127, 0, 0, 1, 0, 9, 'x'}); err != nil {
		t.Fatal(err)
	}
	umbra.Until(t, "the datagram goes round", func() bool { return strings.Contains(umbra.Output(), "network=udp") })
	if n := umbra.Descriptors(t); n > before+40 || strings.Contains(umbra.Output(), "a bound is reached") {
		t.Errorf("got %d descriptors, and %d before:\n%s", n, before, umbra.Output())
	}
	control.Close()
	umbra.Until(t, "no descriptor is left over", func() bool { return umbra.Descriptors(t) <= before+8 })
	request(good)
	_ = target.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second))
	c, err := target.Accept()
	if err != nil {
		t.Fatalf("a chain through two own pipelines: %v", err)
	}
	c.Close()
}

// associate asks a SOCKS5 proxy for UDP. It returns a socket that sends to it, and the
// connection that holds the association.
func associate(t testing.TB, port int) (relay, control net.Conn) {
	t.Helper()
	control, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	_ = control.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := control.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte
	if _, err := io.ReadFull(control, answer[:]); err != nil {
		t.Fatal(err)
	}
	if relay, err = net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", int(answer[10])<<8|int(answer[11]))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	return relay, control
}
