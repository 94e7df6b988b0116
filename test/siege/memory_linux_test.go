package siege

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestMemory has clients use up the memory of a program without the race detector, which
// would need most of it.
func TestMemory(t *testing.T) {
	t.Parallel()
	umbra := filepath.Join(t.TempDir(), "umbra")
	if out, err := exec.Command(peer.Need(t, "make"), "-C", "../..", "build", "BIN="+umbra).CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	t.Run("clients that do not read", func(t *testing.T) { slowReaders(t, umbra) })
	t.Run("strangers", func(t *testing.T) {
		for name, flight := range map[string][]byte{"silent": nil, "one byte": {1}, "forty bytes": random(40), "an invalid request": random(221)} {
			t.Run(name, func(t *testing.T) { strangers(t, umbra, flight) })
		}
	})
	t.Run("held requests", func(t *testing.T) { heldRequests(t, umbra) })
}

// slowReaders has 1,000 clients in a control group of 48 MiB ask for more than they read. The
// program refuses what does not fit, says so, and serves again when they have gone.
func slowReaders(t *testing.T, umbra string) {
	const limit, clients = 48 << 20, 1000
	port := peer.FreePort(t)
	memory := ""
	words := []string{umbra, "run"}
	if group := peer.MemoryGroup(t, limit); group != "" {
		words = append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, group}, words...)
	} else {
		t.Log("no control group: the option memory stands for it")
		memory = "[process]\nmemory = \"48MiB\"\n"
	}
	p := start(t, words, memory+fmt.Sprintf(`
[pipeline.p]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = %q
mode = "tcp"
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(port)), port)
	target := listenEndless(t)
	refused := 0
	var conns []net.Conn
	for range clients {
		c := asks(t, port, target)
		if c == nil {
			refused++
			continue
		}
		conns = append(conns, c)
	}
	if refused == 0 {
		t.Errorf("all of %d clients were served, want some refused", clients)
	}
	if refused > clients*3/4 {
		t.Errorf("%d of %d clients were refused, want some served", refused, clients)
	}
	p.WaitOutput(t, "out of memory")
	if _, most := p.Resident(t); most > limit || p.Ended() {
		t.Errorf("got %d bytes at most, ended %t, want at most %d and a program that goes on", most, p.Ended(), limit)
	}
	for _, c := range conns {
		c.Close()
	}
	p.Until(t, "serve again", func() bool {
		c := asks(t, port, target)
		if c == nil {
			return false
		}
		defer c.Close()
		_, err := io.ReadFull(c, make([]byte, 1<<20))
		return err == nil
	})
}

// strangers has 4,000 clients without a request, and measures what each costs. The memory goes
// back soon after they have gone.
func strangers(t *testing.T, umbra string, flight []byte) {
	t.Parallel()
	const clients, each = 4000, 10 << 10 // with the garbage of so many in a row; a mature heap takes half
	port := peer.FreePort(t)
	p := start(t, []string{umbra, "run"}, fmt.Sprintf(`
[pipeline.p]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "c"
mode = "tcp"
[cipher.c]
kind = "aes-256-gcm"
password = "a password of some length"
[outbound.direct]
`, peer.Addr(port)), port)
	before, _ := p.Resident(t)
	var conns []net.Conn
	for i := range clients {
		c := dialFrom(port, fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250))
		if c == nil {
			t.Fatalf("client %d found no connection", i)
		}
		if _, err := c.Write(flight); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if _, most := p.Resident(t); most-before > clients*each {
		t.Errorf("got %d bytes for each, want at most %d", (most-before)/clients, each)
	}
	for _, c := range conns {
		c.Close()
	}
	p.Until(t, "give the memory back", func() bool {
		now, _ := p.Resident(t)
		return now < before+clients*each/4
	})
}

// heldRequests has 2,000 sources send requests of a method without authentication under
// 64 MiB, each of which is forwarded to a target that does not answer.
func heldRequests(t *testing.T, umbra string) {
	const limit, clients = 64 << 20, 2000
	port := peer.FreePort(t)
	p := start(t, []string{umbra, "run"}, fmt.Sprintf(`
[process]
memory = "64MiB"
[pipeline.p]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "c"
mode = "tcp"
[cipher.c]
kind = "none"
insecure = true
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(port)), port)
	addr, err := core.ParseAddr(listenSilent(t))
	if err != nil {
		t.Fatal(err)
	}
	flight := append(socksaddr.Append(nil, addr), random(1400)...)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range clients / 8 {
				if c := dialFrom(port, fmt.Sprintf("127.1.%d.%d", w, 1+i)); c != nil {
					_, _ = c.Write(flight)
					t.Cleanup(func() { c.Close() })
				}
			}
		})
	}
	all.Wait()
	c := dialFrom(port, "127.9.9.9")
	if c == nil || p.Ended() {
		t.Fatal("the program has gone")
	}
	c.Close()
	if _, most := p.Resident(t); most > limit {
		t.Errorf("got %d bytes at most, want at most %d", most, limit)
	}
}

// start starts a program with a file and waits for its ports.
func start(t *testing.T, words []string, file string, ports ...int) *peer.Process {
	t.Helper()
	words = append(words, write(t, "umbra.toml", file))
	p := peer.Start(t, nil, words[0], words[1:]...)
	for _, port := range ports {
		p.WaitListen(t, port)
	}
	return p
}

// random returns n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// listenSilent accepts connections, and neither reads nor answers.
func listenSilent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	})
	t.Cleanup(func() {
		ln.Close()
		accepting.Wait()
	})
	return ln.Addr().String()
}

// listenEndless serves connections by sending zeros until they end.
func listenEndless(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		zeros := make([]byte, 64<<10)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				for {
					if _, err := c.Write(zeros); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	return ln.Addr().String()
}

// asks makes a request for a target through the SOCKS5 server at a port. It returns nil if it
// is refused.
func asks(t *testing.T, port int, target string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	addr, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 2+10)
	_, err = c.Write(socksaddr.Append([]byte{5, 1, 0, 5, 1, 0}, addr))
	if err == nil {
		_, err = io.ReadFull(c, answer)
	}
	if err != nil || answer[3] != 0 || answer[2] != 5 {
		c.Close()
		return nil
	}
	t.Cleanup(func() { c.Close() })
	return c
}
