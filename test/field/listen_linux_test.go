package field

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// curlThrough fetches a page through a SOCKS5 proxy.
func curlThrough(t testing.TB, proxy, url string) (page string, err error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), peer.Need(t, "curl"), "-sS", "-m", "15", "--noproxy", "", "-x", "socks5h://"+proxy, url).CombinedOutput()
	return string(out), err
}

// sendThrough sends a datagram through the UDP ASSOCIATE of a SOCKS5 proxy and returns what
// comes back.
func sendThrough(t testing.TB, proxy string, to core.Addr, payload string) string {
	t.Helper()
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil || answer[3] != 0 {
		t.Fatalf("ASSOCIATE at %s: got %v, %v, want success", proxy, answer, err)
	}
	relay, _, err := socksaddr.Decode(answer[5:])
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.Dial("udp", relay.String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_ = udp.SetDeadline(time.Now().Add(patience))
	if _, err := udp.Write(append(socksaddr.Append([]byte{0, 0, 0}, to), payload...)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	n, err := udp.Read(b)
	if err != nil {
		t.Fatalf("UDP through %s: %v", proxy, err)
	}
	return string(bytes.TrimPrefix(b[:n], socksaddr.Append([]byte{0, 0, 0}, to)))
}

// echoUDP starts a UDP server that sends back what it gets.
func echoUDP(t testing.TB) core.Addr {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = socket.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	t.Cleanup(func() { socket.Close(); <-done })
	return core.AddrFrom(socket.LocalAddr().(*net.UDPAddr).AddrPort())
}

// unserved reports whether nothing listens on an address.
func unserved(at string) bool {
	c, err := net.DialTimeout("tcp", at, patience)
	if err == nil {
		c.Close()
	}
	return err != nil
}

// listenFile is a client at the addresses local, whose server listens on the addresses server
// and is dialled at the first of via, and another client at the address other, which dials the
// second of via.
func listenFile(local, server, other string, via ...string) string {
	return fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[pipeline.local]
chain = ["inbound.local", "outbound.first"]
[pipeline.other]
chain = ["inbound.other", "outbound.second"]
[inbound.local]
kind = "socks5"
listen = %s
[inbound.other]
kind = "socks5"
listen = %q
[inbound.ss]
listen = %s
cipher = "c"
[outbound.first]
kind = "ss"
server = %q
cipher = "c"
[outbound.second]
kind = "ss"
server = %q
cipher = "c"
[outbound.direct]
allow = ["127.0.0.0/8"]
[cipher.c]
kind = "2022-blake3-aes-128-gcm"
password = "MDEyMzQ1Njc4OWFiY2RlZg=="
`, local, other, server, via[0], via[1])
}

// One inbound serves clients on several addresses, over TCP and UDP. With a reload an address
// goes, and one comes; a client of an address that stays notices nothing.
func TestListen(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") }))
	defer web.Close()
	echo, datagrams := listenEcho(t), echoUDP(t)
	local, server, other := peer.FreePort(t), peer.FreePort(t), peer.Addr(peer.FreePort(t))
	at := func(port, host int) string { return fmt.Sprintf("127.0.0.%d:%d", host, port) }
	list := func(port int, hosts ...int) string {
		var all []string
		for _, h := range hosts {
			all = append(all, strconv.Quote(at(port, h)))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	path := filepath.Join(t.TempDir(), "umbra.toml")
	serve := func(hosts ...int) {
		t.Helper()
		text := listenFile(list(local, hosts...), list(server, hosts...), other, at(server, hosts[0]), at(server, hosts[1]))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reaches := func(proxies ...string) {
		t.Helper()
		for _, proxy := range proxies {
			if page, err := curlThrough(t, proxy, web.URL); page != "served" || err != nil {
				t.Errorf("curl through %s: got %q, %v, want it served", proxy, page, err)
			}
			if got := sendThrough(t, proxy, datagrams, "over "+proxy); got != "over "+proxy {
				t.Errorf("UDP through %s: got %q, want %q", proxy, got, "over "+proxy)
			}
		}
	}
	serve(1, 2)
	umbra := runAt(t, path, nil, local)
	umbra.WaitOutput(t, " serving ")
	for _, a := range []string{at(local, 1), at(local, 2), at(server, 1), at(server, 2)} {
		if n := strings.Count(umbra.Output(), "address="+a+" "); n != 1 {
			t.Errorf("%s: got %d lines, want one", a, n)
		}
	}
	reaches(at(local, 1), at(local, 2), other)
	held, rep := dialSOCKS(t, local, 1, peer.Addr(echo))
	if rep != 0 {
		t.Fatalf("CONNECT: got reply %d, want 0", rep)
	}

	serve(1, 3)
	umbra.Signal(t, syscall.SIGHUP)
	umbra.Until(t, "listen on the new address", func() bool { return !unserved(at(local, 3)) })
	umbra.Until(t, "give the old address back", func() bool { return unserved(at(local, 2)) && unserved(at(server, 2)) })
	reaches(at(local, 1), at(local, 3), other)
	if _, err := held.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	var b [4]byte
	if _, err := io.ReadFull(held, b[:]); err != nil || string(b[:]) != "ping" {
		t.Errorf("a connection from before: got %q, %v, want ping", b, err)
	}
}

// localhost is listened on in both families, and an address that the machine does not have is,
// if free_bind says so.
func TestListenNames(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") }))
	defer web.Close()
	port := peer.FreePort(t)
	file := strings.Replace(socksFile(port, "", ""), strconv.Quote(peer.Addr(port)), fmt.Sprintf("[\"localhost:%d\", \"192.0.2.77:%d\"]", port, port), 1)
	file = strings.Replace(file, "[inbound.socks5]", "[inbound.socks5]\nallow_open = true", 1)

	refusing := start(t, nil, nil, write(t, "refused.toml", file))
	if status := refusing.Wait(t); status != 1 || !strings.Contains(refusing.Output(), "this machine does not have the address; if it gets it later, set free_bind = true") {
		t.Errorf("without free_bind: got status %d, want 1 and a line with the mend:\n%s", status, refusing.Output())
	}
	umbra := run(t, strings.Replace(file, "[inbound.socks5]", "[inbound.socks5]\nfree_bind = true", 1), port)
	umbra.WaitOutput(t, fmt.Sprintf("address=192.0.2.77:%d", port))
	proxies := []string{peer.Addr(port)}
	if six, err := net.Listen("tcp", "[::1]:0"); err == nil {
		six.Close()
		proxies = append(proxies, fmt.Sprintf("[::1]:%d", port))
	}
	for _, proxy := range proxies {
		if page, err := curlThrough(t, proxy, web.URL); page != "served" || err != nil {
			t.Errorf("curl through %s: got %q, %v, want it served", proxy, page, err)
		}
	}
}
