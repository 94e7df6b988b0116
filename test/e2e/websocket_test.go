package e2e

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// overWebsocket adds a list of transports to a table of a file, and the tables of those that
// are not in it: front is the options of the transport of that name, "" for no TLS.
func overWebsocket(file, table, front, ws string) string {
	list := `["ws"]`
	if front != "" {
		list = `["front", "ws"]`
		front = "[transport.front]\nkind = \"tls\"\n" + front
	}
	file = with(file, table, "transport = "+list)
	file = regexp.MustCompile(`\[inbound\.\w+\]\n`).ReplaceAllString(file, "${0}mode = \"tcp\"\n")
	return file + front + "[transport.ws]\nkind = \"websocket\"\n" + ws
}

// TestWebsocketV2Ray carries Shadowsocks in WebSocket with v2ray-plugin at either end, with TLS
// and without, and between two umbras.
func TestWebsocketV2Ray(t *testing.T) {
	front := newCertificate(t)
	own := fmt.Sprintf("cert = %q\nkey = %q\n", front.cert, front.key)
	trust := fmt.Sprintf("ca = %q\nserver_name = \"front.test\"\n", front.cert)
	for _, tc := range []struct {
		name                string
		own, trust          string // the options of front at both ends
		plugServer, plugOpt string // of v2ray-plugin
	}{
		{"bare", "", "", "path=/stream;mux=0", "path=/stream;mux=0"},
		{"TLS", own, trust, fmt.Sprintf("tls;host=front.test;path=/stream;mux=0;cert=%s;key=%s", front.cert, front.key),
			fmt.Sprintf("tls;host=front.test;path=/stream;mux=0;cert=%s", front.cert)},
	} {
		const ws = "path = \"/stream\"\n"
		umbraServer := func(t testing.TB) int {
			port := peer.FreePort(t)
			run(t, overWebsocket(serverFile(port, method), "[inbound.ss]", tc.own, ws), port)
			return port
		}
		umbraLocal := func(t testing.TB, server int) int {
			port := peer.FreePort(t)
			run(t, overWebsocket(localFile(port, method, server), "[outbound.hop0]", tc.trust, ws), port)
			return port
		}
		for name, proxy := range map[string]func(t testing.TB) int{
			"umbra":        func(t testing.TB) int { return umbraLocal(t, umbraServer(t)) },
			"v2ray server": func(t testing.TB) int { return umbraLocal(t, peer.V2RayServer(t, method, tc.plugServer)) },
			"v2ray client": func(t testing.TB) int { return peer.V2RayLocal(t, method, umbraServer(t), tc.plugOpt) },
		} {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				port := proxy(t)
				moveFiles(t, port, 0, 1, 16384, 5_000_000)
				expect(t, dialSOCKS(t, port, newGreeter(t, "first").addr), "first\n") // the target speaks first
			})
		}
	}
}

// TestWebsocketHalfClose ends a request and waits for the answer, through two umbras.
func TestWebsocketHalfClose(t *testing.T) {
	server, local := peer.FreePort(t), peer.FreePort(t)
	run(t, overWebsocket(serverFile(server, method), "[inbound.ss]", "", ""), server)
	run(t, overWebsocket(localFile(local, method, server), "[outbound.hop0]", "", ""), local)
	target := newGreeter(t, "hello")
	c := dialSOCKS(t, local, target.addr)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "hello\n") {
		t.Errorf("got %q, %v, want the answer", got, err)
	}
}

// TestWebsocketBehindNginx passes the path through nginx, which has pages beside it.
func TestWebsocketBehindNginx(t *testing.T) {
	server, local := peer.FreePort(t), peer.FreePort(t)
	run(t, overWebsocket(serverFile(server, method), "[inbound.ss]", "", "path = \"/stream\"\n"), server)
	nginx := peer.Nginx(t, fmt.Sprintf(`
location / { return 200 "a page\n"; }
location = /stream {
	proxy_pass http://%s;
	proxy_http_version 1.1;
	proxy_set_header Upgrade $http_upgrade;
	proxy_set_header Connection "upgrade";
	proxy_set_header Host $host;
}
`, peer.Addr(server)))
	run(t, overWebsocket(localFile(local, method, nginx), "[outbound.hop0]", "", "path = \"/stream\"\nhost = \"cdn.test\"\nearly_data = 2048\n"), local)
	moveFiles(t, local, 0, 1, 16384, 5_000_000)
	c := dialSOCKS(t, local, newGreeter(t, "hello").addr)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "hello\n") {
		t.Errorf("half-closed: got %q, %v, want the answer", got, err)
	}
}

// TestWebsocketBehindHAProxy passes the path through HAProxy in its HTTP mode, which names the
// clients by PROXY headers.
func TestWebsocketBehindHAProxy(t *testing.T) {
	server, local, front := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
	file := with(serverFile(server, method), "[inbound.ss]", fmt.Sprintf("proxy_protocol = { trusted = [%q] }", balancerAddr))
	umbra := run(t, overWebsocket(file, "[inbound.ss]", "", "path = \"/stream\"\n"), server)
	peer.HAProxy(t, fmt.Sprintf(`
frontend front
  mode http
  bind %s
  use_backend umbra if { path /stream }
backend umbra
  mode http
  timeout tunnel 1h
  source %s
  server umbra %s send-proxy-v2
`, peer.Addr(front), balancerAddr, peer.Addr(server)), front)
	run(t, overWebsocket(localFile(local, method, front), "[outbound.hop0]", "", "path = \"/stream\"\nearly_data = 6000\n"), local)
	moveFiles(t, local, 0, 1, 16384, 5_000_000)
	umbra.WaitOutput(t, "client=127.0.0.1:")
}

// TestWebsocketAnswersAsNginx sends requests of strangers to umbra and to nginx without pages:
// the answers are the same but for their dates.
func TestWebsocketAnswersAsNginx(t *testing.T) {
	server := peer.FreePort(t)
	run(t, overWebsocket(serverFile(server, method), "[inbound.ss]", "", "path = \"/stream\"\n"), server)
	nginx := peer.Nginx(t, "return 404;")
	date := regexp.MustCompile(`Date: [^\r]*`)
	ask := func(t *testing.T, port int, request string) string {
		c := dialFrom(t, "127.0.0.1", port)
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		_ = c.CloseWrite()
		answer, err := io.ReadAll(c)
		if err != nil {
			return fmt.Sprintf("%q and %v", answer, err)
		}
		return date.ReplaceAllString(string(answer), "Date: x")
	}
	const host = "Host: front.test\r\n"
	for name, request := range map[string]string{
		"GET":                  "GET / HTTP/1.1\r\n" + host + "\r\n",
		"HEAD":                 "HEAD /x HTTP/1.1\r\n" + host + "\r\n",
		"closed":               "GET / HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"Chrome":               "GET / HTTP/1.1\r\n" + host + "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36\r\n\r\n",
		"HTTP/1.0":             "GET / HTTP/1.0\r\n\r\n",
		"HTTP/1.0 kept":        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"POST":                 "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nHello",
		"chunked":              "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n",
		"PUT":                  "PUT / HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n",
		"unknown method":       "BREW / HTTP/1.1\r\n" + host + "\r\n",
		"websocket elsewhere":  "GET /ws HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"the path, no upgrade": "GET /stream HTTP/1.1\r\n" + host + "\r\n",
		"two requests":         "GET / HTTP/1.1\r\n" + host + "\r\nGET /2 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"no Host":              "GET / HTTP/1.1\r\n\r\n",
		"HTTP/2 by chance":     "GET / HTTP/2.0\r\n" + host + "\r\n",
		"lower case":           "get / HTTP/1.1\r\n" + host + "\r\n",
		"TLS":                  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"SOCKS5":               "\x05\x01\x00",
		"SSH":                  "SSH-2.0-OpenSSH_9.2\r\n",
		"noise":                "\x9c\x01\xfe\x33\x80",
		"TRACE":                "TRACE / HTTP/1.1\r\n" + host + "\r\n",
		"long line":            "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 40_000) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := ask(t, server, request), ask(t, nginx, request); got != want {
				t.Errorf("got\n%s\nnginx answers\n%s", got, want)
			}
		})
	}
}

// TestWebsocketProbed compares a server in WebSocket with a bare one: whoever has the path
// and no key gets no byte after the upgrade.
func TestWebsocketProbed(t *testing.T) {
	server := peer.FreePort(t)
	umbra := run(t, overWebsocket(with(serverFile(server, method), "[inbound.ss]", "handshake_timeout = \"2s\""), "[inbound.ss]", "", "path = \"/stream\"\n"), server)
	const opening = "GET /stream HTTP/1.1\r\nHost: front.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	for _, size := range []int{1, 49, 50, 100} {
		c := dialFrom(t, "127.0.0.1", server)
		message := append([]byte{0x82, 0x80 | byte(size), 0, 0, 0, 0}, make([]byte, size)...)
		if _, err := c.Write(append([]byte(opening), message...)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		_, after, _ := strings.Cut(string(got), "\r\n\r\n")
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 101 ") || after != "\x88\x02\x03\xe8" {
			t.Errorf("%d bytes: got %q, %v, want the upgrade, silence and a Close frame", size, got, err)
		}
	}
	umbra.WaitOutput(t, "reason=auth")
}
