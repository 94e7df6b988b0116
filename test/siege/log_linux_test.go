package siege

import (
	"bytes"
	"errors"
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

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestLogNobodyReads has strangers fail handshakes, and be banned, while nobody reads the log
// and its pipe is full. Every honest request succeeds. When the log is read again it says how
// many lines are missing, and the lines of the shutdown come out.
func TestLogNobodyReads(t *testing.T) {
	t.Parallel()
	const sources, requests = 60, 80
	port := peer.FreePort(t)
	umbra, log := startOnPipe(t, fmt.Sprintf(`
[log]
level = "debug"
queue = 16
[pipeline.server]
chain = ["policy.ban", "inbound.socks5", "outbound.direct"]
[policy.ban]
failures = 1
exempt_loopback = false
[inbound.socks5]
listen = %q
users = { alice = "sesame" }
[outbound.direct]
allow = ["127.0.0.1"]
`, peer.Addr(port)))
	log.readUntil(t, "umbra started")
	log.stall(t)

	var strangers sync.WaitGroup
	for n := range sources {
		strangers.Go(func() {
			for range 5 { // at least one is refused by the ban
				if c := dialFrom(port, fmt.Sprintf("127.0.1.%d", n+1)); c != nil {
					_ = c.SetDeadline(time.Now().Add(time.Second))
					_ = login(c, "alice", "guess")
					c.Close()
				}
			}
		})
	}
	strangers.Wait()
	target := listenEcho(t)
	failed := 0
	for range requests {
		if err := request(port, target); err != nil {
			failed++
			t.Log(err)
		}
		if failed > 2 {
			break // each waits for the patience
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d honest requests failed", failed, requests)
	}

	log.resume()
	log.readUntil(t, "log lines dropped")
	if err := umbra.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	log.readUntil(t, "umbra stopped")
	if err := umbra.Wait(); err != nil {
		t.Errorf("got %v, want an orderly end", err)
	}
}

// TestLogNobodyReadsTheEnd ends umbra while nobody reads its log: it ends all the same.
func TestLogNobodyReadsTheEnd(t *testing.T) {
	t.Parallel()
	port := peer.FreePort(t)
	umbra, log := startOnPipe(t, fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = %q
[outbound.direct]
`, peer.Addr(port)))
	log.readUntil(t, "umbra started")
	log.stall(t)
	if err := umbra.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- umbra.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("got %v, want an orderly end", err)
		}
	case <-time.After(patience):
		t.Errorf("still running %s after SIGTERM", patience)
		_ = umbra.Process.Kill()
		<-ended
	}
}

// unreadLog is the pipe of a program's log. Its size is that of one page.
type unreadLog struct {
	reading, writing *os.File
	text             strings.Builder
}

// startOnPipe starts umbra with a file, and with a pipe as its standard error stream.
func startOnPipe(t *testing.T, file string) (*exec.Cmd, *unreadLog) {
	t.Helper()
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(ends[0], true); err != nil { // so that a Close ends a Read
		t.Fatal(err)
	}
	log := &unreadLog{reading: os.NewFile(uintptr(ends[0]), "log"), writing: os.NewFile(uintptr(ends[1]), "log")}
	umbra := exec.Command(self(t), "run", write(t, "umbra.toml", file))
	umbra.Env = append(os.Environ(), asUmbra+"=1", "GORACE=atexit_sleep_ms=0")
	umbra.Stderr = log.writing
	if err := umbra.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = umbra.Process.Kill()
		_, _ = umbra.Process.Wait()
		log.reading.Close()
		log.writing.Close()
		if t.Failed() {
			t.Logf("umbra printed:\n%s", log.text.String())
		}
	})
	return umbra, log
}

// stall fills the pipe, as a reader that has stopped does.
func (l *unreadLog) stall(t *testing.T) {
	t.Helper()
	fd := int(l.writing.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for page := bytes.Repeat([]byte{'\n'}, 4096); ; {
		_, err := syscall.Write(fd, page)
		if errors.Is(err, syscall.EAGAIN) && len(page) == 1 {
			break
		}
		if errors.Is(err, syscall.EAGAIN) {
			page = page[:1]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// The flag belongs to the pipe's end, which umbra has too.
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
}

// resume ends this process's part of the pipe, so that only umbra writes to it.
func (l *unreadLog) resume() { l.writing.Close() }

// readUntil reads the log until it has text.
func (l *unreadLog) readUntil(t *testing.T, text string) {
	t.Helper()
	late := time.AfterFunc(patience, func() { l.reading.Close() })
	defer late.Stop()
	var b [512]byte
	for !strings.Contains(l.text.String(), text) {
		n, err := l.reading.Read(b[:])
		for line := range strings.Lines(string(b[:n])) {
			if line != "\n" { // of stall
				l.text.WriteString(line)
			}
		}
		if err != nil {
			t.Fatalf("the log has no %q: %v", text, err)
		}
	}
}

// dialFrom connects to a loopback port from another loopback address. It returns nil if it
// can't.
func dialFrom(port int, from string) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c, err := d.Dial("tcp", peer.Addr(port))
	if err != nil {
		return nil
	}
	return c
}

// login logs in to a SOCKS5 server.
func login(c net.Conn, user, password string) error {
	b := append([]byte{5, 1, 2, 1, byte(len(user))}, user...)
	b = append(append(b, byte(len(password))), password...)
	if _, err := c.Write(b); err != nil {
		return err
	}
	var answer [4]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	if answer[3] != 0 {
		return errors.New("login refused")
	}
	return nil
}

// request echoes a text through the SOCKS5 server at a port.
func request(port int, target string) error {
	c, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if err := login(c, "alice", "sesame"); err != nil {
		return err
	}
	return echoes(c, target)
}

// sendRequest asks for a target and sends hello to it.
func sendRequest(c net.Conn, target string) error {
	addr, err := core.ParseAddr(target)
	if err != nil {
		return err
	}
	_, err = c.Write(append(socksaddr.Append([]byte{5, 1, 0}, addr), "hello"...))
	return err
}

// listenEcho serves connections by sending back what they send, and returns its address.
func listenEcho(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	return ln.Addr().String()
}
