package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// throughFile is a SOCKS5 side on a port with hops, whose tables are given by name, the
// nearest first. keys are further ones of its pipeline and its inbound.
func throughFile(port int, mode, keys string, hops ...[2]string) string {
	var chain, tables strings.Builder
	for _, hop := range hops {
		fmt.Fprintf(&chain, ", \"outbound.%s\"", hop[0])
		fmt.Fprintf(&tables, "[outbound.%s]\n%s\n", hop[0], hop[1])
	}
	if strings.Contains(tables.String(), "cipher") {
		tables.WriteString(cipherTable("house", method))
	}
	return fmt.Sprintf("[log]\nlevel = \"debug\"\n[pipeline.local]\nchain = [\"inbound.socks5\"%s]\n%s\n[inbound.socks5]\nlisten = %q\nmode = %q\n%s",
		chain.String(), keys, peer.Addr(port), mode, tables.String())
}

// socksHop and httpHop are tables of hops through a port.
func socksHop(port int, keys ...string) [2]string {
	return [2]string{"socks", fmt.Sprintf("kind = \"socks5\"\nserver = %q\n%s", peer.Addr(port), strings.Join(keys, "\n"))}
}

func httpHop(port int, keys ...string) [2]string {
	return [2]string{"web", fmt.Sprintf("kind = \"http\"\nserver = %q\n%s", peer.Addr(port), strings.Join(keys, "\n"))}
}

func ssHop(port int) [2]string {
	return [2]string{"ss", fmt.Sprintf("kind = \"ss\"\nserver = %q\ncipher = \"house\"", peer.Addr(port))}
}

const aliceKeys = "user = \"alice\"\npassword = \"correct-horse\""

// TestThroughProxies moves files through the proxies of others, alone and as hops, and
// datagrams where they carry them. A target that refuses is told as such.
func TestThroughProxies(t *testing.T) {
	for _, tc := range []struct {
		name string
		hops func(t *testing.T) [][2]string
		udp  bool
		rep  byte // for a target that refuses
	}{
		{"microsocks", func(t *testing.T) [][2]string {
			return [][2]string{socksHop(peer.Microsocks(t, "", ""), `mode = "tcp"`)}
		}, false, 5},
		{"microsocks with a login", func(t *testing.T) [][2]string {
			return [][2]string{socksHop(peer.Microsocks(t, "alice", "correct-horse"), aliceKeys, `mode = "tcp"`)}
		}, false, 5},
		{"Dante", func(t *testing.T) [][2]string { return [][2]string{socksHop(peer.Dante(t, ""))} }, true, 5},
		{"Dante, pipelining", func(t *testing.T) [][2]string { return [][2]string{socksHop(peer.Dante(t, ""), "pipelining = true")} }, true, 5},
		{"tinyproxy", func(t *testing.T) [][2]string { return [][2]string{httpHop(peer.Tinyproxy(t))} }, false, 4},
		{"tinyproxy with a login", func(t *testing.T) [][2]string {
			return [][2]string{httpHop(peer.Tinyproxy(t, `BasicAuth alice correct-horse`), aliceKeys)}
		}, false, 4},
		{"ss over SOCKS5", func(t *testing.T) [][2]string {
			return [][2]string{socksHop(peer.Dante(t, "")), ssHop(umbraServer(t, method))}
		}, true, 0},
		{"SOCKS5 over ss", func(t *testing.T) [][2]string {
			return [][2]string{ssHop(umbraServer(t, method)), socksHop(peer.Dante(t, ""))}
		}, true, 5},
		{"SOCKS5 over SOCKS5", func(t *testing.T) [][2]string {
			second := socksHop(peer.Dante(t, ""))
			second[0] = "second"
			return [][2]string{socksHop(peer.Dante(t, "")), second}
		}, true, 5},
		{"HTTP over SOCKS5", func(t *testing.T) [][2]string {
			return [][2]string{socksHop(peer.Microsocks(t, "", "")), httpHop(peer.Tinyproxy(t))}
		}, false, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			mode := "tcp"
			if tc.udp {
				mode = "both"
			}
			proxy := peer.FreePort(t)
			run(t, throughFile(proxy, mode, "", tc.hops(t)...), proxy)
			moveFiles(t, proxy, 0, 1, 100_000, 3_000_000)
			greeted(t, proxy)
			if tc.udp {
				echoPackets(t, proxy, 1, 100, 1400, 9000)
			}
			if tc.rep != 0 {
				if rep := replyOf(t, proxy, peer.Addr(peer.FreePort(t))); rep != tc.rep {
					t.Errorf("a target that refuses: got the reply %02x, want %02x", rep, tc.rep)
				}
			}
		})
	}
}

// greeted reaches a server that speaks first.
func greeted(t testing.TB, proxy int) {
	t.Helper()
	c := dialSOCKS(t, proxy, newGreeter(t, "hello").addr)
	expect(t, c, "hello\n")
	echo(t, c, "echo")
}

// replyOf returns the reply to a CONNECT, 0 for success.
func replyOf(t testing.TB, proxy int, target string) byte {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(proxy))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if err := greet(c); err != nil {
		t.Fatal(err)
	}
	_, err = request(c, 1, target)
	if rep, ok := errors.AsType[replyError](err); ok {
		return byte(rep)
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// TestHTTPSProxy reaches tinyproxy through HAProxy, which ends the TLS.
func TestHTTPSProxy(t *testing.T) {
	t.Parallel()
	front := newCertificate(t)
	cert, err := os.ReadFile(front.cert)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(front.key)
	if err != nil {
		t.Fatal(err)
	}
	behind, secure := peer.Tinyproxy(t, `BasicAuth alice correct-horse`), peer.FreePort(t)
	peer.HAProxy(t, fmt.Sprintf("listen proxy\n  bind %s ssl crt %s\n  server behind %s\n", peer.Addr(secure), write(t, "both.pem", string(cert)+string(key)), peer.Addr(behind)), secure)
	proxy := peer.FreePort(t)
	run(t, throughFile(proxy, "tcp", "", httpHop(secure, aliceKeys, `transport = ["front"]`))+
		fmt.Sprintf("[transport.front]\nkind = \"tls\"\nca = %q\nserver_name = \"front.test\"\n", front.cert), proxy)
	moveFiles(t, proxy, 0, 1, 100_000, 3_000_000)
	greeted(t, proxy)
}

// TestProxiesThatFail has the log say what is wrong with a proxy, and its client get the
// reply of a general failure or of a timeout.
func TestProxiesThatFail(t *testing.T) {
	silent := func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }
	reset := func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 512))
		_ = c.SetLinger(0)
	}
	garbage := func(c *net.TCPConn) {
		_, _ = c.Write([]byte("220 mail.test ESMTP\r\n"))
		_, _ = io.Copy(io.Discard, c)
	}
	const socks, web = "socks5", "http"
	for _, tc := range []struct {
		name, kind string
		port       func(t *testing.T) int
		keys       string
		reason     string
		text       string
		rep        byte
	}{
		{"silent", socks, serveBy(silent), "", "timeout", "no answer within 300ms", 6},
		{"reset", socks, serveBy(reset), "", "reset", "greeting: ", 1},
		{"garbage", socks, serveBy(garbage), "", "malformed", "the first byte is 0x32", 1},
		{"wrong password", socks, func(t *testing.T) int { return peer.Microsocks(t, "alice", "another") }, aliceKeys, "auth", "refuses the user", 1},
		{"no login", socks, func(t *testing.T) int { return peer.Microsocks(t, "alice", "another") }, "", "auth", "wants a user and a password", 1},
		{"an HTTP proxy", socks, func(t *testing.T) int { return peer.Tinyproxy(t) }, "", "timeout", "greeting: no answer within 300ms", 6},
		{"nobody", socks, func(t *testing.T) int { return peer.FreePort(t) }, "", "refused", "connection refused", 5},
		{"silent", web, serveBy(silent), "", "timeout", "no answer within 300ms", 6},
		{"reset", web, serveBy(reset), "", "reset", "connection reset", 1},
		{"garbage", web, serveBy(garbage), "", "malformed", "220 mail.test", 1},
		{"wrong password", web, func(t *testing.T) int { return peer.Tinyproxy(t, "BasicAuth alice other") }, aliceKeys, "auth", "refuses the user", 1},
		{"no login", web, func(t *testing.T) int { return peer.Tinyproxy(t, "BasicAuth alice other") }, "", "auth", "wants a user and a password", 1},
		{"forbidden port", web, func(t *testing.T) int { return peer.Tinyproxy(t, "ConnectPort 443") }, "", "denied", "status 403", 2},
	} {
		t.Run(tc.kind+" "+tc.name, func(t *testing.T) {
			t.Parallel()
			proxy, keys := peer.FreePort(t), ""
			if tc.reason == "timeout" { // soon
				keys = `dial_timeout = "300ms"`
			}
			hop := [2]string{"far", fmt.Sprintf("kind = %q\nserver = %q\n%s", tc.kind, peer.Addr(tc.port(t)), tc.keys)}
			umbra := run(t, throughFile(proxy, "tcp", keys, hop), proxy)
			if rep := replyOf(t, proxy, newGreeter(t, "hello").addr); rep != tc.rep {
				t.Errorf("got the reply %02x, want %02x", rep, tc.rep)
			}
			umbra.WaitOutput(t, tc.text)
			for _, secret := range []string{"correct-horse", "YWxpY2U6Y29ycmVjdC1ob3JzZQ"} {
				if strings.Contains(umbra.Output(), secret) {
					t.Errorf("the log has the password")
				}
			}
			if want := "outbound=far reason=" + tc.reason; tc.reason != "denied" {
				umbra.WaitOutput(t, want)
			}
		})
	}
}

// TestNoUDP has the log say that a server has no UDP ASSOCIATE.
func TestNoUDP(t *testing.T) {
	t.Parallel()
	proxy := peer.FreePort(t)
	umbra := run(t, throughFile(proxy, "both", "", socksHop(peer.Microsocks(t, "", ""))), proxy)
	a := associate(t, proxy)
	umbra.WaitOutput(t, "requests failed outbound=socks reason=other")
	umbra.WaitOutput(t, `reply 07: the server has no UDP ASSOCIATE; set mode = `)
	if _, err := io.ReadAll(a.control); err != nil {
		t.Errorf("the client's association: got %v, want its end", err)
	}
}

// serveBy returns a function that starts a server and returns its port.
func serveBy(serve func(*net.TCPConn)) func(t *testing.T) int {
	return func(t *testing.T) int {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() {
			for {
				c, err := l.AcceptTCP()
				if err != nil {
					return
				}
				all.Go(func() {
					defer c.Close()
					_ = c.SetDeadline(time.Now().Add(patience))
					serve(c)
				})
			}
		})
		t.Cleanup(func() { l.Close(); all.Wait() })
		return l.Addr().(*net.TCPAddr).Port
	}
}
