// Package peer starts real programs for tests: Shadowsocks peers, clients and browsers. Each runs
// on free loopback ports in its own folder, and ends with its test.
package peer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout is the maximum time until a program listens.
const startTimeout = time.Minute

// Need returns the path of a program. If it is missing, the test fails where CI is set, and is
// skipped with a message otherwise: `make test` installs all programs.
func Need(t testing.TB, name string) string {
	t.Helper()
	for _, place := range []string{name, "/usr/sbin/" + name} { // not in the PATH of every user
		if path, err := exec.LookPath(place); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; `make deps` installs it", name)
	}
	t.Skipf("%s is not installed; `make deps` installs it", name)
	return ""
}

// Process is a running program.
type Process struct {
	Cmd  *exec.Cmd
	out  lockedBuffer
	done chan struct{}
	err  error // of Wait; valid after done
}

// Start runs a program and ends it with the test. Its output is logged if the
// test fails.
func Start(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{Cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.Cmd.Dir = t.TempDir()
	p.Cmd.Env = append(os.Environ(), env...)
	p.Cmd.Stdout, p.Cmd.Stderr = &p.out, &p.out
	p.Cmd.SysProcAttr = dieWithParent()
	if err := p.Cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = p.Cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("%s %q printed:\n%s", name, args, p.Output())
		}
	})
	return p
}

// Stop sends SIGTERM to the program, kills it after five seconds, and returns when it has ended.
func (p *Process) Stop() {
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.Cmd.Process.Kill()
		<-p.done
	}
}

// Signal sends a signal.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal: %v", err)
	}
}

// Wait waits for the end and returns the exit status.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(startTimeout):
		t.Fatalf("still running; it printed:\n%s", p.Output())
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		t.Fatal(p.err)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Output returns the output of the program so far.
func (p *Process) Output() string { return p.out.String() }

// WaitOutput waits until the program has printed text.
func (p *Process) WaitOutput(t testing.TB, text string) {
	t.Helper()
	p.Until(t, "print "+strconv.Quote(text), func() bool { return bytes.Contains([]byte(p.Output()), []byte(text)) })
}

// WaitListen waits until the program accepts TCP on a loopback port.
func (p *Process) WaitListen(t testing.TB, port int) {
	t.Helper()
	p.Until(t, "listen on "+Addr(port), func() bool {
		c, err := net.DialTimeout("tcp", Addr(port), time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// Until polls ok until it returns true. The test fails, with what in the message, if the program
// ends or startTimeout passes.
func (p *Process) Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-p.done:
			if ok() {
				return
			}
			t.Fatalf("it ended and did not %s; it printed:\n%s", what, p.Output())
		case <-ctx.Done():
			t.Fatalf("it did not %s in %s; it printed:\n%s", what, startTimeout, p.Output())
		}
	}
}

// lockedBuffer collects the output of a program.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
