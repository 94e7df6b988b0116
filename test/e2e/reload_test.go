package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestReload sends SIGHUP under load: new connections follow the new file, running ones continue, none is
// refused, and an invalid file changes nothing.
func TestReload(t *testing.T) {
	const method = "aes-256-gcm"
	first, second := newGreeter(t, "first"), newGreeter(t, "second")
	proxy := peer.FreePort(t)
	serverA, serverB := umbraServer(t, method), umbraServer(t, method)
	path := filepath.Join(t.TempDir(), "local.toml")
	save(t, path, localFile(proxy, method, serverA))
	umbra := runAt(t, path, proxy)

	held := dialSOCKS(t, proxy, first.addr)
	expect(t, held, "first\n")

	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := echoOnce(proxy, second.addr); err != nil {
					t.Errorf("under load: %v", err)
					return
				}
			}
		})
	}
	for n := range 5 {
		save(t, path, localFile(proxy, method, []int{serverB, serverA}[n%2]))
		umbra.Signal(t, syscall.SIGHUP)
		umbra.WaitOutput(t, fmt.Sprintf("generation=%d", n+2))
	}
	save(t, path, strings.Replace(localFile(proxy, method, serverA), "chain", "chian", 1))
	umbra.Signal(t, syscall.SIGHUP)
	umbra.WaitOutput(t, "chian")
	close(stop)
	load.Wait()

	echo(t, held, "still here after every reload\n")
	if err := echoOnce(proxy, first.addr); err != nil {
		t.Errorf("after a bad file: %v", err)
	}
}

// TestReloadKeepsSalts replays a recorded request after a reload: the server must refuse it.
func TestReloadKeepsSalts(t *testing.T) {
	const method = "aes-256-gcm"
	target := newGreeter(t, "target")
	server := peer.FreePort(t)
	path := filepath.Join(t.TempDir(), "server.toml")
	save(t, path, serverFile(server, method))
	umbra := runAt(t, path, server)

	flight := recordFlight(t, method, server, target.addr)
	before := target.accepted.Load()
	save(t, path, serverFile(server, method)+"\n[process]\ngrace = \"5s\"\n")
	reload(t, umbra, 2)
	c := dial(t, server)
	if _, err := c.Write(flight); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || len(got) > 0 {
		t.Errorf("a replay was answered with %d bytes and %v, want silence and FIN", len(got), err)
	}
	umbra.WaitOutput(t, "replayed")
	if got := target.accepted.Load(); got != before {
		t.Errorf("a replay made %d connections to the target", got-before)
	}
}

// TestTerminate ends umbra during a connection: umbra waits for the connection and accepts no other; a
// second signal ends umbra at once.
func TestTerminate(t *testing.T) {
	const method = "aes-128-gcm"
	target := newGreeter(t, "hello")
	server := umbraServer(t, method)
	proxy := peer.FreePort(t)
	umbra := run(t, localFile(proxy, method, server), proxy)
	c := dialSOCKS(t, proxy, target.addr)
	expect(t, c, "hello\n")
	umbra.Signal(t, syscall.SIGTERM)
	waitRefused(t, umbra, proxy)
	echo(t, c, "while draining\n")
	c.Close()
	if status := umbra.Wait(t); status != 0 {
		t.Errorf("exit status %d after an orderly drain, want 0:\n%s", status, umbra.Output())
	}

	proxy = peer.FreePort(t)
	umbra = run(t, localFile(proxy, method, server), proxy)
	c = dialSOCKS(t, proxy, target.addr)
	expect(t, c, "hello\n")
	umbra.Signal(t, syscall.SIGTERM)
	waitRefused(t, umbra, proxy)
	umbra.Signal(t, syscall.SIGTERM)
	umbra.Wait(t)
}

// TestPortTaken starts a second umbra on the same port: it ends with an error and status 1.
func TestPortTaken(t *testing.T) {
	port := umbraServer(t, "aes-128-gcm")
	second := run(t, serverFile(port, "aes-128-gcm"))
	if status := second.Wait(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	want := "inbound.ss.listen: listen on " + peer.Addr(port) + ": bind: address already in use"
	if !strings.Contains(second.Output(), want) {
		t.Errorf("it printed\n%s\nwant %q in it", second.Output(), want)
	}
}

// reload makes umbra read its file again, and waits until generation number n serves.
func reload(t testing.TB, umbra *peer.Process, generation int) {
	t.Helper()
	umbra.Signal(t, syscall.SIGHUP)
	umbra.WaitOutput(t, fmt.Sprintf("generation=%d ", generation))
}

// waitRefused waits until nothing listens on a port.
func waitRefused(t testing.TB, umbra *peer.Process, port int) {
	t.Helper()
	umbra.Until(t, "stop listening", func() bool {
		c, err := net.Dial("tcp", peer.Addr(port))
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// save replaces a file in one step, as an editor does.
func save(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
