//go:build unix

package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// The screen of top, in a real terminal: it groups, sorts, filters, selects and cuts, fills
// windows of other sizes, and leaves the terminal as it was.
func TestTopInTerminal(t *testing.T) {
	t.Parallel()
	p := newFakeProcess(t)
	p.relaying()
	m := peer.OpenTerminal(t, 100, 12)
	m.Press("umbra top "+p.file, "Enter")
	m.Wait("pid 4711")
	m.Wait("GiB/s") // the second sample
	m.Press("c")
	m.Wait("by connection, 8, sorted by rate")
	m.Press("Left")
	m.Wait("sorted by connections")
	m.Press("/", "bob", "Enter")
	m.Wait(`by connection, 2, sorted by connections, with "bob"`)
	m.Press("Down", "Down", "Up", "k")
	m.Wait("cut connection 2 to example.org:443? y or n")
	m.Press("y")
	m.Wait("by connection, 1,")
	m.Press("Escape")
	screen := m.Wait("by connection, 7, sorted by connections\n")
	if !strings.Contains(screen, "PATH") {
		t.Errorf("no path on 100 columns:\n%s", screen)
	}

	// A window that is small, and large again.
	m.Resize(50, 6)
	screen = m.Until("a small list", func(s string) bool { return !strings.Contains(s, "PATH") && strings.Contains(s, "TARGET") })
	if n := strings.Count(strings.TrimRight(screen, "\n"), "\n") + 1; n != 6 {
		t.Errorf("%d lines in a window of 6:\n%s", n, screen)
	}
	m.Resize(120, 20)
	m.Wait("PATH")

	m.Press("u")
	m.Wait("by user, 2,")
	m.Press("Down", "k")
	m.Wait("cut all connections of user alice? y or n")
	m.Press("y")
	m.Wait("5 connections cut")
	m.Press("p")
	m.Wait("streams 2")
	m.Press("C-z")
	m.Wait("Stopped")
	m.Press("fg", "Enter")
	m.Wait("streams 2")
	m.Press("q")
	m.Until("the shell again", func(s string) bool { return !strings.Contains(s, "pid 4711") && strings.Contains(s, "umbra top") })
	m.Press("echo so'und'", "Enter") // the terminal echoes again
	m.Wait("sound")
}

// The terminal is given back after a signal too.
func TestTopInTerminalSignal(t *testing.T) {
	t.Parallel()
	p := newFakeProcess(t)
	p.relaying()
	m := peer.OpenTerminal(t, 100, 12)
	m.Press("umbra top "+p.file+" & PID=$!; (read _ <"+fifo(t, p)+"; kill -TERM $PID) & fg %1; echo 'status' $?", "Enter")
	m.Wait("pid 4711")
	if err := os.WriteFile(fifo(t, p), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Wait("status 0")
	m.Press("echo so'und'", "Enter")
	m.Wait("sound")
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
	p.mu.Lock()
	p.change, p.journeys = someChange(), someJourneys()
	p.mu.Unlock()
	m := peer.OpenTerminal(t, 100, 12)
	m.Press("umbra apply "+p.file, "Enter")
	m.Wait("apply? y or n:")
	m.Press("n", "Enter")
	m.Wait("umbra: not applied")
	m.Press("clear", "Enter")
	m.Until("nothing", func(s string) bool { return !strings.Contains(s, "apply") })
	m.Press("umbra apply "+p.file, "Enter")
	m.Wait("apply? y or n:")
	m.Press("y", "Enter")
	m.Wait("applied\n")
	p.mu.Lock()
	if len(p.applied) != 1 {
		t.Errorf("applied %q, want one", p.applied)
	}
	p.mu.Unlock()

	m.Resize(120, 20)
	m.Press("clear; umbra trace "+p.file, "Enter")
	m.Wait("no version")
	if screen := m.Do("capture-pane", "-p", "-e"); !strings.Contains(screen, "\x1b[32mok") || !strings.Contains(screen, "\x1b[31mtimeout") {
		t.Errorf("no colours:\n%q", screen)
	}
	m.Press("clear; NO_COLOR=1 umbra trace "+p.file+"; echo do'ne'", "Enter")
	m.Wait("done\n")
	if screen := m.Do("capture-pane", "-p", "-e"); strings.Contains(screen, "\x1b[32mok") {
		t.Errorf("colours in spite of NO_COLOR:\n%q", screen)
	}
}
