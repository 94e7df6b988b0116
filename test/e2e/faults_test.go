package e2e

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/impair"
	"github.com/umbra-proxy/umbra/test/peer"
)

const method = "aes-256-gcm"

// directFile is a SOCKS5 inbound with a direct outbound, so that the reply contains the result
// of the dial.
func directFile(port int) string {
	return `
[pipeline.plain]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = "` + peer.Addr(port) + `"
[outbound.direct]
allow = ["127.0.0.0/8", "::1"]
`
}

// TestDirectReplies checks the reply codes of dials that fail.
func TestDirectReplies(t *testing.T) {
	proxy := peer.FreePort(t)
	run(t, directFile(proxy), proxy)
	for _, tc := range []struct {
		name, target string
		want         replyError
	}{
		{"refused", peer.Addr(peer.FreePort(t)), 5},
		{"private", "10.1.2.3:80", 2},
		{"metadata service", "169.254.169.254:80", 2},
		{"mapped private", "[::ffff:10.1.2.3]:80", 2},
		{"unresolvable", "does-not-exist.invalid:80", 4},
		{"own inbound", peer.Addr(proxy), 2},
		{"port 0", "127.0.0.1:0", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got replyError
			if err := connect(dial(t, proxy), tc.target); !errors.As(err, &got) || got != tc.want {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	target := newGreeter(t, "plain")
	if err := echoOnce(proxy, target.addr); err != nil {
		t.Errorf("after the failures: %v", err)
	}
	moveFiles(t, proxy, 0, 1, 10_000_000) // spliced
}

// TestImpaired moves data over a wire that splits all data into small random segments.
func TestImpaired(t *testing.T) {
	tap := impair.New(t, peer.Addr(umbraServer(t, method)), impair.Options{
		Up: impair.Direction{Segment: 7, Random: true}, Down: impair.Direction{Segment: 5, Random: true}})
	target := newGreeter(t, "through small pieces")
	for range 5 {
		if err := echoOnce(umbraLocal(t, method, portOf(t, tap.Addr())), target.addr); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTampered flips a bit on a wire: the client receives valid bytes and then a broken
// connection, never wrong bytes, and other clients are not affected.
func TestTampered(t *testing.T) {
	server := umbraServer(t, method)
	target := newGreeter(t, strings.Repeat("good", 10_000))
	for _, tc := range []struct {
		name    string
		options impair.Options
	}{
		{"answer's salt", impair.Options{Down: impair.Direction{Corrupt: []int64{3}}}},
		{"answer's middle", impair.Options{Down: impair.Direction{Corrupt: []int64{20_000}}}},
		{"answer cut", impair.Options{Down: impair.Direction{End: impair.Close, After: 20_000}}},
		{"answer reset", impair.Options{Down: impair.Direction{End: impair.Reset, After: 20_000}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tap := impair.New(t, peer.Addr(server), tc.options)
			c := dialSOCKS(t, umbraLocal(t, method, portOf(t, tap.Addr())), target.addr)
			got, err := io.ReadAll(c)
			if strings.Trim(string(got), "god") != "" {
				t.Errorf("read bytes that were never sent")
			}
			if len(got) > 40_000 {
				t.Errorf("read %d bytes behind a broken wire", len(got))
			}
			if err == nil && !strings.HasSuffix(tc.name, "reset") {
				t.Errorf("read %d bytes and an orderly end, want an error", len(got))
			}
		})
	}
	if err := echoOnce(umbraLocal(t, method, server), target.addr); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

// TestProbes sends invalid requests, ended by FIN, to a server: every length gets the same
// reaction, no data and a FIN.
func TestProbes(t *testing.T) {
	server := umbraServer(t, method)
	target := newGreeter(t, "target")
	flight := recordFlight(t, method, server, target.addr)
	tampered := append([]byte(nil), flight...)
	tampered[len(tampered)-1] ^= 1
	probes := map[string][]byte{
		"replay": flight, "tampered": tampered, "truncated": flight[:len(flight)-1],
		"http": []byte("GET / HTTP/1.1\r\n\r\n"), "zeros": make([]byte, 500),
	}
	for _, n := range []int{0, 1, 16, 31, 32, 49, 50, 51, 66, 221, 1000, 20000} {
		probes[strings.Repeat("x", n)] = []byte(strings.Repeat("\x9d", n))
	}
	for name, probe := range probes {
		if len(name) > 20 {
			name = name[:20]
		}
		c := dial(t, server)
		if _, err := c.Write(probe); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); err != nil || len(got) > 0 {
			t.Errorf("%s (%d bytes): answered with %d bytes and %v, want none and FIN", name, len(probe), len(got), err)
		}
	}
}

// TestTargetSpeaksFirst reads a greeting without sending anything: no side may wait for bytes of
// the client.
func TestTargetSpeaksFirst(t *testing.T) {
	target := newGreeter(t, "220 ready")
	c := dialSOCKS(t, umbraLocal(t, method, umbraServer(t, method)), target.addr)
	expect(t, c, "220 ready\n")
}

// TestTargetResets makes the target reset its connection: the bytes before the reset arrive, and
// the next connection is served.
func TestTargetResets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	proxy := umbraLocal(t, method, umbraServer(t, method))
	c := dialSOCKS(t, proxy, ln.Addr().String())
	target, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(target, "before\n"); err != nil {
		t.Fatal(err)
	}
	expect(t, c, "before\n")
	if err := target.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	target.Close()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes after the target's reset", n)
	}
	if err := echoOnce(proxy, newGreeter(t, "next").addr); err != nil {
		t.Error(err)
	}
}

// TestServerAway uses a missing server: the client gets an error soon, and is served once the
// server is running.
func TestServerAway(t *testing.T) {
	server := peer.FreePort(t)
	proxy := umbraLocal(t, method, server)
	target := newGreeter(t, "late")
	if err := echoOnce(proxy, target.addr); err == nil {
		t.Error("served without a server")
	}
	run(t, serverFile(server, method), server)
	if err := echoOnce(proxy, target.addr); err != nil {
		t.Errorf("with a server: %v", err)
	}
}

func portOf(t testing.TB, addr string) int {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return tcp.Port
}
