//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// viewed is an umbra with an [admin] socket, and a web server that sends without end, a megabyte a second.
type viewed struct {
	*testing.T
	path    string // of the file
	proxy   int
	web     string // the address of the web server
	process *peer.Process
}

const viewFile = `
[admin]
socket = %q
[pipeline.people]
chain = ["inbound.socks5", "outbound.world"]
[inbound.socks5]
listen = %q
[inbound.socks5.users]
alice = "an-old-password"
bob = "another-password"
[outbound.world]
kind = "direct"
allow = ["127.0.0.0/8"]
`

func newViewed(t *testing.T) *viewed {
	t.Helper()
	dir, err := os.MkdirTemp("", "umbra-view") // a path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := &viewed{T: t, path: filepath.Join(dir, "umbra.toml"), proxy: peer.FreePort(t)}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for text := []byte(strings.Repeat("umbra ", 1000)); r.URL.Path == "/endless"; <-pace.C {
			if _, err := w.Write(text); err != nil {
				return
			}
		}
		fmt.Fprintln(w, "hello")
	}))
	t.Cleanup(endless.Close)
	v.web = endless.Listener.Addr().String()
	save(t, v.path, v.file(""))
	v.process = runAt(t, v.path, v.proxy)
	v.process.WaitOutput(t, "umbra started") // the socket is opened last
	return v
}

func (v *viewed) file(more string) string {
	return fmt.Sprintf(viewFile, filepath.Join(filepath.Dir(v.path), "umbra.sock"), peer.Addr(v.proxy)) + more
}

// umbra runs a command and returns its output and its exit status.
func (v *viewed) umbra(args ...string) (string, int) {
	v.Helper()
	cmd := exec.CommandContext(v.Context(), self(v), args...)
	cmd.Env = append(os.Environ(), asUmbra+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		v.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// curl fetches a URL as a user.
func (v *viewed) curl(user, url string) *peer.Process {
	v.Helper()
	return peer.Start(v, nil, peer.Need(v, "curl"), "--silent", "--show-error", "--output", "/dev/null", "--max-time", "120",
		"--proxy", "socks5h://"+user+"@"+peer.Addr(v.proxy), url)
}

const (
	asAlice = "alice:an-old-password"
	asBob   = "bob:another-password"
)

// waitFor runs a command until its output contains a text.
func (v *viewed) waitFor(text string, args ...string) (out string) {
	v.Helper()
	await(v, fmt.Sprintf("%q of umbra %q", text, args), func() bool {
		out, _ = v.umbra(args...)
		return strings.Contains(out, text)
	})
	return out
}

// TestTop shows downloads of two users in top, and kill ends those of one.
func TestTop(t *testing.T) {
	t.Parallel()
	v := newViewed(t)
	first, second := v.curl(asAlice, "http://"+v.web+"/endless"), v.curl(asBob, "http://"+v.web+"/endless")
	v.waitFor("\nalice      1  ", "top", v.path, "--by", "user", "--once")
	var got struct {
		Rows []struct {
			Name     string
			DownRate float64 `json:"down_rate"`
		}
	}
	await(t, "rates of two users", func() bool {
		out, status := v.umbra("top", v.path, "--by", "user", "--json")
		if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 {
			t.Fatalf("status %d, %v: %s", status, err, out)
		}
		return len(got.Rows) == 2 && got.Rows[0].DownRate > 1000 && got.Rows[1].DownRate > 1000
	})
	v.waitFor("  connections  ", "users", v.path)

	// On a terminal: alice's connection is found, and cut.
	m := peer.OpenTerminal(t, 120, 14, asUmbra+"=1")
	m.Press(self(t)+" top "+v.path, "Enter")
	m.Wait("\npeople ")
	m.Press("o")
	m.Wait("\noutbound.world ")
	m.Press("c", "/", "alice", "Enter")
	screen := m.Wait(`by connection, 1, sorted by rate, with "alice"`)
	for _, text := range []string{v.web, "127.0.0.1:", "outbound.world"} {
		if !strings.Contains(screen, text) {
			t.Errorf("no %q on the screen:\n%s", text, screen)
		}
	}
	m.Until("a rate", func(s string) bool { return strings.Contains(s, "KiB/s  ") || strings.Contains(s, "MiB/s  ") })
	m.Press("Down", "k")
	m.Wait("to " + v.web + "? y or n")
	m.Press("y")
	m.Wait("by connection, 0,")
	if status := first.Wait(t); status == 0 {
		t.Errorf("curl of alice ended with 0:\n%s", first.Output())
	}
	m.Press("q")
	if second.Ended() {
		t.Errorf("curl of bob has ended too:\n%s", second.Output())
	}
	if out, status := v.umbra("kill", v.path, "--user", "bob"); out != "1 connection cut\n" || status != 0 {
		t.Errorf("kill: status %d and %s", status, out)
	}
	if status := second.Wait(t); status == 0 {
		t.Errorf("curl of bob ended with 0:\n%s", second.Output())
	}
	if out, status := v.umbra("kill", v.path, "4711"); status != 1 || !strings.Contains(out, "no connection 4711") {
		t.Errorf("kill of none: status %d and %s", status, out)
	}
}

// TestTrace shows a connection that went well and one that failed, with their steps, and follows
// later ones.
func TestTrace(t *testing.T) {
	t.Parallel()
	v := newViewed(t)
	if status := v.curl(asAlice, "http://"+v.web+"/").Wait(t); status != 0 {
		t.Fatalf("curl ended with %d", status)
	}
	closed := peer.Addr(peer.FreePort(t))
	if status := v.curl(asBob, "http://"+closed+"/").Wait(t); status == 0 {
		t.Fatal("curl to a closed port ended with 0")
	}
	out := v.waitFor(closed, "trace", v.path)
	for _, text := range []string{
		"127.0.0.0/24 -> " + v.web + "  ok  ", "  people  tcp  alice  ", "]  handshake ", "]  dial ", "]  answer ", "]  end ",
		"127.0.0.0/24 -> " + closed + "  refused  ", "connection refused",
	} {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in\n%s", text, out)
		}
	}
	out, _ = v.umbra("trace", v.path, "--failed", "--addresses")
	if strings.Contains(out, v.web) || !strings.Contains(out, "127.0.0.1:") || !strings.Contains(out, closed) {
		t.Errorf("--failed --addresses:\n%s", out)
	}
	out, _ = v.umbra("trace", v.path, "--user", "alice", "--json")
	var j struct {
		Target, User string
		Steps        []struct{ Kind string }
	}
	if err := json.Unmarshal([]byte(out), &j); err != nil || j.User != "alice" || j.Target != v.web || len(j.Steps) < 3 {
		t.Errorf("--json: %v: %s", err, out)
	}

	follow := peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, self(t), "trace", v.path, "--follow", "--last", "1", "--user", "alice")
	follow.WaitOutput(t, v.web)
	for range 3 {
		v.curl(asBob, "http://"+v.web+"/").Wait(t)
	}
	v.curl(asAlice, "http://"+closed+"/").Wait(t)
	follow.WaitOutput(t, closed+"  refused")
	if strings.Contains(follow.Output(), "bob") {
		t.Errorf("a connection of another user:\n%s", follow.Output())
	}
	v.process.Stop()
	if status := follow.Wait(t); status != 1 || !strings.Contains(follow.Output(), "umbra: the running process has ended the stream") {
		t.Errorf("after the end of the process: status %d", status)
	}
}

// TestApply edits the file of a running process: mistakes change nothing, a listener more keeps
// what runs, and what is served already changes nothing.
func TestApply(t *testing.T) {
	t.Parallel()
	v := newViewed(t)
	if out, status := v.umbra("apply", v.path); status != 0 || !strings.HasPrefix(out, "nothing to change") {
		t.Errorf("without an edit: status %d and %s", status, out)
	}
	running := v.curl(asAlice, "http://"+v.web+"/endless")
	v.waitFor("\nalice      1  ", "top", v.path, "--by", "user", "--once")

	more := peer.FreePort(t)
	edit := fmt.Sprintf("[pipeline.more]\nchain = [\"inbound.more\", \"outbound.world\"]\n[inbound.more]\nkind = \"socks5\"\nmode = \"tcp\"\nlisten = %q\n", peer.Addr(more))
	for edit, want := range map[string]string{
		strings.Replace(edit, "chain", "chian", 1): v.path + ":15:1: pipeline.more.chian: unknown ",
		// Only building it shows that.
		edit + "[cipher.house]\nkind = \"aes-256-gcm\"\npassword_file = \"none\"\n": "password_file: ",
	} {
		save(t, v.path, v.file(edit))
		out, status := v.umbra("apply", "--yes", v.path)
		if status != 1 || !strings.Contains(out, want) || !strings.HasPrefix(out, v.path+":") {
			t.Errorf("a mistake: status %d and %s, want %s", status, out, want)
		}
	}
	// A port that another program has is known when it is applied, and nothing has changed then.
	taken := newGreeter(t, "taken")
	save(t, v.path, v.file(strings.Replace(edit, peer.Addr(more), taken.addr, 1)))
	out, status := v.umbra("apply", "--yes", v.path)
	if status != 1 || !strings.Contains(out, "+ open    tcp "+taken.addr) || !strings.Contains(out, "address already in use") || strings.Contains(out, "applied") {
		t.Errorf("a taken port: status %d and %s", status, out)
	}
	if out, status := v.umbra("trace", v.path); status != 0 {
		t.Errorf("after a taken port: status %d and %s", status, out)
	}

	save(t, v.path, v.file(edit))
	want := fmt.Sprintf("  keep    tcp+udp 127.0.0.1:%d (inbound.socks5)\n+ open    tcp 127.0.0.1:%d (inbound.more)\n+ add     inbound.more\n+ add     pipeline.more\n", v.proxy, more)
	if out, status := v.umbra("apply", v.path); status != 1 || out != want+"umbra: not applied: there is no terminal to ask on; add --yes\n" {
		t.Errorf("without --yes: status %d and\n%s\nwant\n%s", status, out, want)
	}
	if out, status := v.umbra("apply", "--yes", v.path); status != 0 || out != want+"applied\n" {
		t.Errorf("--yes: status %d and\n%s\nwant\n%s", status, out, want)
	}
	v.process.WaitListen(t, more)
	if running.Ended() {
		t.Errorf("the download has ended:\n%s", running.Output())
	}
	v.waitFor("\nalice      1  ", "top", v.path, "--by", "user", "--once")
	if out, status := v.umbra("kill", v.path, "--pipeline", "people"); out != "1 connection cut\n" || status != 0 {
		t.Errorf("kill of a connection of the old file: status %d and %s", status, out)
	}
	running.Wait(t)
	save(t, v.path, strings.Replace(v.file(edit), "allow = ", "interface = \"lo\"\nallow = ", 1))
	out, _ = v.umbra("apply", "--json", v.path)
	if !strings.HasPrefix(out, `{"applied":false,"change":{"digest":"`) || !strings.Contains(out, `"changed":[{"id":"outbound.world","options":["interface"]`) {
		t.Errorf("--json: %s", out)
	}
}
