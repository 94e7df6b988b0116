package siege

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestStrangersOnOtherInbounds has strangers hold as many connections as they get to four
// inbounds of a program with 256 descriptors: the fifth serves everybody.
func TestStrangersOnOtherInbounds(t *testing.T) {
	t.Parallel()
	const inbounds, requests = 5, 30
	var file strings.Builder
	var ports [inbounds]int
	for i := range ports {
		ports[i] = peer.FreePort(t)
		fmt.Fprintf(&file, `
[pipeline.p%[1]d]
chain = ["inbound.i%[1]d", "outbound.direct"]
[inbound.i%[1]d]
kind = "socks5"
listen = %[2]q
users = { alice = "sesame" }
`, i, peer.Addr(ports[i]))
	}
	file.WriteString("[outbound.direct]\nallow = [\"127.0.0.1\"]\n")
	p := startSelf(t, "ulimit -n 256", file.String(), ports[:]...)
	var held sync.WaitGroup
	for i, port := range ports[1:] {
		held.Go(func() {
			for n := range 100 {
				if c := dialFrom(port, fmt.Sprintf("127.%d.0.%d", i+1, n+1)); c != nil {
					t.Cleanup(func() { c.Close() })
				}
			}
		})
	}
	held.Wait()
	target := listenEcho(t)
	for n := range requests {
		if err := request(ports[0], target); err != nil {
			t.Errorf("request %d of %d: %v", n, requests, err)
			break
		}
	}
	p.WaitOutput(t, "out of descriptors")
}

// TestBusyGateway has 900 clients behind one address come within three seconds, each of them
// 200 ms away: all are served. Over the bound of an address those that came first are served.
func TestBusyGateway(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	const (
		gateway, server = "192.0.2.1", "192.0.2.2"
		clients         = 900
		pause           = 3 * time.Second / clients
		trip            = 200 * time.Millisecond
	)
	peer.AddAddress(t, gateway)
	peer.AddAddress(t, server)
	for bound, least := range map[string]int{"": clients, "client_handshakes = 64": 2 * 64} {
		port := peer.FreePort(t)
		at := net.JoinHostPort(server, fmt.Sprint(port))
		target := listenEcho(t)
		p := startSelf(t, "ulimit -n 8192", fmt.Sprintf(`
[pipeline.p]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = ":%d"
users = { alice = "sesame" }
%s
[outbound.direct]
allow = ["127.0.0.1"]
`, port, bound), port)
		var served atomic.Int64
		var all sync.WaitGroup
		tick := time.NewTicker(pause)
		for range clients {
			<-tick.C
			all.Go(func() {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(gateway)}, Timeout: patience}
				c, err := d.Dial("tcp", at)
				if err != nil {
					return
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				<-time.After(2 * trip) // the accept is told, and the greeting comes
				if login(c, "alice", "sesame") == nil && echoes(c, target) == nil {
					served.Add(1)
				}
			})
		}
		tick.Stop()
		all.Wait()
		if n := int(served.Load()); n < least {
			t.Errorf("%q: served %d of %d, want %d or more", bound, n, clients, least)
		}
		if refuses := strings.Contains(p.Output(), "too many handshakes"); refuses != (bound != "") {
			t.Errorf("%q: a line about refused connections: got %t", bound, refuses)
		}
		p.Stop()
	}
}

// TestBoundTellsNothing has a prober fill the bound of its address with one probe among
// connections of one byte, and then connect once more: which connection ends is the same
// whatever the probe is, and for a banned prober.
func TestBoundTellsNothing(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	const prober, banned, server, bound = "192.0.2.%d", "198.51.100.%d", "203.0.113.1", 16
	sizes := []int{1, 49, 50, 300}
	peer.AddAddress(t, server)
	for n := range sizes { // an address for each: the server may be late to see that the earlier ones have gone
		peer.AddAddress(t, fmt.Sprintf(prober, n+1))
		peer.AddAddress(t, fmt.Sprintf(banned, n+1))
	}
	port := peer.FreePort(t)
	p := startSelf(t, "true", fmt.Sprintf(`
[pipeline.p]
chain = ["policy.ban", "inbound.ss", "outbound.direct"]
[policy.ban]
failures = 1
exempt = ["192.0.2.0/24"]
[inbound.ss]
listen = ":%d"
cipher = "c"
mode = "tcp"
client_handshakes = %d
[cipher.c]
kind = "aes-256-gcm"
password = "a password of some length"
[outbound.direct]
`, port, bound), port)
	dialFromTo := func(source string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: patience}
		c, err := d.Dial("tcp", net.JoinHostPort(server, fmt.Sprint(port)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for n := range sizes {
		c := dialFromTo(fmt.Sprintf(banned, n+1))
		if _, err := c.Write(random(300)); err != nil {
			t.Fatal(err)
		}
		p.WaitOutput(t, "client="+fmt.Sprintf(banned, n+1)+" for=")
		c.Close()
	}
	for _, source := range []string{prober, banned} {
		for n, size := range sizes {
			source := fmt.Sprintf(source, n+1)
			var conns []net.Conn
			dial := func(size int) {
				c := dialFromTo(source)
				if _, err := c.Write(random(size)); err != nil {
					t.Fatal(err)
				}
				conns = append(conns, c)
			}
			dial(size)
			for range bound - 1 {
				dial(1)
			}
			dial(1)
			last := conns[bound]
			_ = last.SetReadDeadline(time.Now().Add(patience))
			if _, err := last.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s, a probe of %d bytes: the last connection got %v, want its end", source, size, err)
			}
			for i, c := range conns {
				_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
				if _, err := c.Read(make([]byte, 1)); i < bound && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s, a probe of %d bytes: connection %d got %v, want silence", source, size, i, err)
				}
				c.Close()
			}
		}
	}
}

// startSelf starts the test binary as umbra, after a command of the shell.
func startSelf(t *testing.T, before, file string, ports ...int) *peer.Process {
	t.Helper()
	p := peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, "sh", "-c", before+` && exec "$0" run "$1"`, self(t), write(t, "umbra.toml", file))
	for _, port := range ports {
		p.WaitListen(t, port)
	}
	return p
}

// echoes sends a request for an echoing target to a SOCKS5 server that has accepted a login.
func echoes(c net.Conn, target string) error {
	if err := sendRequest(c, target); err != nil {
		return err
	}
	var answer [15]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if answer[1] != 0 || string(answer[10:]) != "hello" {
		return fmt.Errorf("request: got the reply %d and %q", answer[1], answer[10:])
	}
	return nil
}
