//go:build unix

package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// tmux is a real terminal, in which a program runs.
type tmux struct {
	*testing.T
	program, socket string
}

// inTerminal runs a shell in a terminal of 100 columns and 12 lines.
func inTerminal(t *testing.T) *tmux {
	t.Helper()
	dir, err := os.MkdirTemp("", "umbra-tmux") // a path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &tmux{t, peer.Need(t, "tmux"), filepath.Join(dir, "tmux")}
	m.do("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "12", "exec env PS1='ready$ ' NO_COLOR= sh")
	t.Cleanup(func() { m.do("kill-server") })
	m.do("set-option", "-g", "status", "off")
	m.do("resize-window", "-x", "100", "-y", "12")
	m.wait("ready$")
	return m
}

// do runs a command of tmux.
func (m *tmux) do(args ...string) string {
	m.Helper()
	cmd := exec.Command(m.program, append([]string{"-S", m.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMUX=", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

func (m *tmux) press(keys ...string) {
	m.Helper()
	m.do(append([]string{"send-keys"}, keys...)...)
}

func (m *tmux) resize(width, height int) {
	m.Helper()
	m.do("resize-window", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height))
}

// wait waits until the screen contains a text, and returns it.
func (m *tmux) wait(text string) string {
	m.Helper()
	return m.until(text, func(screen string) bool { return strings.Contains(screen, text) })
}

func (m *tmux) until(what string, ok func(screen string) bool) (screen string) {
	m.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); <-tick.C {
		if screen = m.do("capture-pane", "-p"); ok(screen) {
			return screen
		}
	}
	m.Fatalf("the screen never had %q:\n%s", what, screen)
	return ""
}

// The screen of top, in a real terminal: it groups, sorts, filters, selects and cuts, fills
// windows of other sizes, and leaves the terminal as it was.
func TestTopInTerminal(t *testing.T) {
	t.Parallel()
	p := newFakeProcess(t)
	p.relaying()
	m := inTerminal(t)
	m.press("umbra top "+p.file, "Enter")
	m.wait("pid 4711")
	m.wait("GiB/s") // the second sample
	m.press("c")
	m.wait("by connection, 8, sorted by rate")
	m.press("Left")
	m.wait("sorted by connections")
	m.press("/", "bob", "Enter")
	m.wait(`by connection, 2, sorted by connections, with "bob"`)
	m.press("Down", "Down", "Up", "k")
	m.wait("cut connection 2 to example.org:443? y or n")
	m.press("y")
	m.wait("by connection, 1,")
	m.press("Escape")
	screen := m.wait("by connection, 7, sorted by connections\n")
	if !strings.Contains(screen, "PATH") {
		t.Errorf("no path on 100 columns:\n%s", screen)
	}

	// A window that is small, and large again.
	m.resize(50, 6)
	screen = m.until("a small list", func(s string) bool { return !strings.Contains(s, "PATH") && strings.Contains(s, "TARGET") })
	if n := strings.Count(strings.TrimRight(screen, "\n"), "\n") + 1; n != 6 {
		t.Errorf("%d lines in a window of 6:\n%s", n, screen)
	}
	m.resize(120, 20)
	m.wait("PATH")

	m.press("u")
	m.wait("by user, 2,")
	m.press("Down", "k")
	m.wait("cut all connections of user alice? y or n")
	m.press("y")
	m.wait("5 connections cut")
	m.press("p")
	m.wait("streams 2")
	m.press("q")
	m.until("the shell again", func(s string) bool { return !strings.Contains(s, "pid 4711") && strings.Contains(s, "umbra top") })
	m.press("echo so'und'", "Enter") // the terminal echoes again
	m.wait("\nsound\n")
}

// The terminal is given back after a signal too.
func TestTopInTerminalSignal(t *testing.T) {
	t.Parallel()
	p := newFakeProcess(t)
	p.relaying()
	m := inTerminal(t)
	m.press("umbra top "+p.file+" & PID=$!; (read _ <"+fifo(t, p)+"; kill -TERM $PID) & fg %1; echo 'status' $?", "Enter")
	m.wait("pid 4711")
	if err := os.WriteFile(fifo(t, p), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.wait("\nstatus 0\n")
	m.press("echo so'und'", "Enter")
	m.wait("\nsound\n")
}

// fifo returns the path of a pipe beside the file of a process.
func fifo(t *testing.T, p *fakeProcess) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(p.file), "go")
	if _, err := os.Lstat(path); err != nil {
		if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
			t.Fatalf("mkfifo: %v: %s", err, out)
		}
	}
	return path
}

// On a terminal apply asks, and takes yes alone for yes. Colours are for terminals, unless
// NO_COLOR is set.
func TestApplyAndTraceInTerminal(t *testing.T) {
	t.Parallel()
	p := newFakeProcess(t)
	p.change = someChange()
	p.journeys = someJourneys()
	m := inTerminal(t)
	m.press("umbra apply "+p.file, "Enter")
	m.wait("apply? y or n:")
	m.press("n", "Enter")
	m.wait("umbra: not applied")
	m.press("clear", "Enter")
	m.until("nothing", func(s string) bool { return !strings.Contains(s, "apply") })
	m.press("umbra apply "+p.file, "Enter")
	m.wait("apply? y or n:")
	m.press("y", "Enter")
	m.wait("\napplied\n")
	p.mu.Lock()
	if len(p.applied) != 1 {
		t.Errorf("applied %q, want one", p.applied)
	}
	p.mu.Unlock()

	m.resize(120, 20)
	m.press("clear; umbra trace "+p.file, "Enter")
	m.wait("no version")
	if screen := m.do("capture-pane", "-p", "-e"); !strings.Contains(screen, "\x1b[32mok") || !strings.Contains(screen, "\x1b[31mtimeout") {
		t.Errorf("no colours:\n%q", screen)
	}
	m.press("clear; NO_COLOR=1 umbra trace "+p.file+"; echo do'ne'", "Enter")
	m.wait("\ndone\n")
	if screen := m.do("capture-pane", "-p", "-e"); strings.Contains(screen, "\x1b[32mok") {
		t.Errorf("colours in spite of NO_COLOR:\n%q", screen)
	}
}
