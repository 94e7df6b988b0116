//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// Addresses of two attackers and two other clients, and their networks.
const (
	attacker4, other4 = "198.51.100.7", "198.51.100.8"
	attacker6, near6  = "2001:db8:1:2::7", "2001:db8:1:2::8" // near6 is in the attacker's /64
	other6            = "2001:db8:1:3::7"
)

// TestAutobanNft pipes a server's log to umbra autoban: the kernel then drops packets of the
// attackers, and not those of others.
func TestAutobanNft(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	for _, a := range []string{attacker4, other4, attacker6, near6, other6} {
		peer.AddAddress(t, a)
	}
	port := peer.FreePort(t)
	file := write(t, "umbra.toml", strings.Replace(serverFile(port, "aes-256-gcm"), peer.Addr(port), fmt.Sprintf(":%d", port), 1))
	log, toBan, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	server := program(t, nil, toBan, "run", file)
	toBan.Close()
	autoban := program(t, log, nil, "autoban", "--count", "2", "--duration", "1h", "--exempt", other4)
	log.Close()
	autoban.until(t, "make its table", func() bool { return strings.Contains(rules(t), "umbra_autoban") })
	server.until(t, "listen", func() bool { return reaches("127.0.0.1", port) })

	for range 3 {
		sendInvalid(t, other4, port) // exempt
	}
	sendInvalid(t, attacker4, port)
	if !reaches(attacker4, port) {
		t.Errorf("%s is kept out after one failure, want after two", attacker4)
	}
	sendInvalid(t, attacker4, port)
	autoban.until(t, "ban", func() bool { return strings.Contains(autoban.text(), "ban "+attacker4+" for 1h0m0s: 2 failures in ") })
	peer.Command(t, "nft", "flush", "ruleset") // as software that loads other rules does
	sendInvalid(t, attacker6, port)
	sendInvalid(t, attacker6, port)
	autoban.until(t, "ban", func() bool {
		return strings.Contains(autoban.text(), "ban 2001:db8:1:2::/64 for 1h0m0s: 2 failures in ")
	})

	for source, want := range map[string]bool{attacker4: false, attacker6: false, near6: false, other4: true, other6: true, "127.0.0.1": true} {
		if got := reaches(source, port); got != want {
			t.Errorf("%s: got reaches the server %t, want %t; the rules are\n%s", source, got, want, rules(t))
		}
	}
	second := program(t, nil, nil, "autoban")
	if second.wait(); second.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(second.text(), "another umbra autoban is running") {
		t.Errorf("a second one: got status %d and %q, want 1 and the reason", second.cmd.ProcessState.ExitCode(), second.text())
	}

	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		_ = autoban.cmd.Process.Signal(sig)
		if autoban.wait(); autoban.cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("%v: got status %d, want 0:\n%s", sig, autoban.cmd.ProcessState.ExitCode(), autoban.text())
		}
		if got := rules(t); strings.Contains(got, "umbra_autoban") {
			t.Errorf("%v: got rules afterwards\n%s", sig, got)
		}
		if !reaches(attacker4, port) {
			t.Errorf("%v: %s is still kept out", sig, attacker4)
		}
		if sig == syscall.SIGINT {
			break
		}
		quiet, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		autoban = program(t, quiet, nil, "autoban")
		quiet.Close()
		autoban.until(t, "make its table", func() bool { return strings.Contains(rules(t), "umbra_autoban") })
	}
}

func rules(t *testing.T) string { return peer.Command(t, "nft", "list", "ruleset") }

// dialFrom connects to the server from a source address, with the same address as the
// destination, so that answers are routed back.
func dialSource(source string, port int) (net.Conn, error) {
	d := net.Dialer{Timeout: 500 * time.Millisecond, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	return d.Dial("tcp", net.JoinHostPort(source, fmt.Sprint(port)))
}

// reaches reports whether a source gets a connection.
func reaches(source string, port int) bool {
	c, err := dialSource(source, port)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// sendInvalid sends an invalid request.
func sendInvalid(t *testing.T, source string, port int) {
	t.Helper()
	c, err := dialSource(source, port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(bytes.Repeat([]byte{0xff}, 221)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	// Until the server ends the connection, when the line is written; a ban that follows
	// from this line may come before the end does.
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.ReadAll(c)
}

// umbraProgram is a running umbra with pipes.
type umbraProgram struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	out bytes.Buffer // guarded by mu
}

func program(t *testing.T, in io.Reader, stderr *os.File, args ...string) *umbraProgram {
	t.Helper()
	p := &umbraProgram{cmd: exec.Command(self(t), args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asUmbra+"=1", "GORACE=atexit_sleep_ms=0")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, p, p
	if stderr != nil {
		p.cmd.Stderr = stderr
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the caller checks the status
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.wait()
	})
	return p
}

func (p *umbraProgram) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *umbraProgram) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *umbraProgram) wait() { <-p.done }

// until waits until ok returns true.
func (p *umbraProgram) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%v did not %s; it printed\n%s", p.cmd.Args[1:], what, p.text())
		}
	}
}
