package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Terminal is a real terminal, tmux, in which a shell runs.
type Terminal struct {
	t               testing.TB
	program, socket string
}

// OpenTerminal opens a terminal of a size in characters, whose shell has the prompt "ready$" and
// some more variables. It ends with the test.
func OpenTerminal(t testing.TB, width, height int, env ...string) *Terminal {
	t.Helper()
	dir, err := os.MkdirTemp("", "umbra-tmux") // a path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &Terminal{t, Need(t, "tmux"), filepath.Join(dir, "tmux")}
	shell := "exec env 'PS1=ready$ ' NO_COLOR= GORACE=atexit_sleep_ms=0 " + strings.Join(env, " ") + " sh"
	m.Do("-f", "/dev/null", "new-session", "-d", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height), shell)
	t.Cleanup(func() { m.Do("kill-server") })
	m.Do("set-option", "-g", "status", "off")
	m.Resize(width, height)
	m.Wait("ready$")
	return m
}

// Do runs a command of tmux and returns its output.
func (m *Terminal) Do(args ...string) string {
	m.t.Helper()
	cmd := exec.Command(m.program, append([]string{"-S", m.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMUX=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// Press presses keys, by their names in tmux, or writes texts.
func (m *Terminal) Press(keys ...string) {
	m.t.Helper()
	m.Do(append([]string{"send-keys"}, keys...)...)
}

// Resize changes the size of the window.
func (m *Terminal) Resize(width, height int) {
	m.t.Helper()
	m.Do("resize-window", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height))
}

// Wait waits until the screen contains a text, and returns the screen.
func (m *Terminal) Wait(text string) string {
	m.t.Helper()
	return m.Until(text, func(screen string) bool { return strings.Contains(screen, text) })
}

// Until waits until the screen is as it should be, and returns it.
func (m *Terminal) Until(what string, ok func(screen string) bool) (screen string) {
	m.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(startTimeout); time.Now().Before(late); <-tick.C {
		if screen = m.Do("capture-pane", "-p"); ok(screen) {
			return screen
		}
	}
	m.t.Fatalf("the screen never had %q:\n%s", what, screen)
	return ""
}
