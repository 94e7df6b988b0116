package field

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/test/peer"
)

// accessLine is a line of an access log.
type accessLine struct {
	ID                                    uint64
	Pipeline, Client, User, Event, Result string
	Up, Down                              int64
}

// accessLines returns the lines of access logs.
func accessLines(t testing.TB, paths ...string) (all []accessLine) {
	t.Helper()
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var l accessLine
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Errorf("%s: %q: %v", path, line, err)
			}
			all = append(all, l)
		}
	}
	return all
}

// accessFile is a SOCKS5 server with an access log.
func accessFile(port int, output, more string) string {
	return fmt.Sprintf(`
[pipeline.local]
chain = ["observer.access", "inbound.socks5", "outbound.direct"]
[observer.access]
kind = "accesslog"
output = %q
fields = ["id", "time", "pipeline", "client", "user", "event", "result", "up", "down", "took"]
[inbound.socks5]
listen = %q
mode = "tcp"
[outbound.direct]
allow = ["127.0.0.0/8"]
%s
`, output, peer.Addr(port), more)
}

// page serves a page of some bytes.
func page(t testing.TB, size int) string {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	}))
	t.Cleanup(web.Close)
	return web.URL
}

// TestAccessLog has curl fetch pages while the file of the log is rotated by logrotate and the
// configuration is read again and again: each connection has one line, those that failed too.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	const clients, fetches = 3, 12
	logrotate := peer.Need(t, "logrotate")
	port, dir := peer.FreePort(t), t.TempDir()
	path, conf := filepath.Join(dir, "access.log"), filepath.Join(dir, "umbra.toml")
	put := func(text string) {
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(accessFile(port, path, ""))
	umbra := runAt(t, conf, nil, port)
	url := page(t, 1000)
	rotation := filepath.Join(dir, "logrotate.conf")
	if err := os.WriteFile(rotation, []byte(path+" {\n rotate 99\n nocreate\n missingok\n size 1\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range fetches {
				if got, err := curlThrough(t, peer.Addr(port), url); err != nil || len(got) != 1000 {
					t.Errorf("curl: got %d bytes, %v", len(got), err)
				}
			}
		})
	}
	for range 4 {
		before := strings.Count(umbra.Output(), "reloaded")
		put(accessFile(port, path, fmt.Sprintf("# %d\n", before)))
		if out, err := exec.CommandContext(t.Context(), logrotate, "--force", "--state", filepath.Join(dir, "state"), rotation).CombinedOutput(); err != nil {
			t.Fatalf("logrotate: %v\n%s", err, out)
		}
		umbra.Signal(t, syscall.SIGHUP)
		umbra.Until(t, "the reload", func() bool { return strings.Count(umbra.Output(), "reloaded") > before })
	}
	all.Wait()
	if _, err := curlThrough(t, peer.Addr(port), "http://"+peer.Addr(peer.FreePort(t))); err == nil {
		t.Error("a page of nobody was fetched")
	}
	stranger, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(stranger, "GET / HTTP/1.0\r\n\r\n")
	_, _ = io.Copy(io.Discard, stranger)
	stranger.Close()
	umbra.Signal(t, syscall.SIGTERM)
	if code := umbra.Wait(t); code != 0 {
		t.Errorf("got exit status %d", code)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("got the files %v, %v, want rotated ones", files, err)
	}
	lines := accessLines(t, files...)
	results := map[string]int{}
	seen := map[uint64]bool{}
	for _, l := range lines {
		if l.Result == "ok" && (l.Down < 1000 || l.Up == 0 || l.Client != "127.0.0.0/24") {
			t.Errorf("got %+v, want bytes and a client that is cut", l)
		}
		if l.ID != 0 && seen[l.ID] {
			t.Errorf("two lines of connection %d", l.ID)
		}
		seen[l.ID] = true
		results[l.Event+" "+l.Result]++
	}
	delete(results, "handshake failed short") // the look whether umbra listens
	want := map[string]int{"closed ok": clients * fetches, "dial failed refused": 1, "handshake failed malformed": 1}
	if !maps.Equal(results, want) {
		t.Errorf("got %v in %d lines of %d files, want %v", results, len(lines), len(files), want)
	}
}

// TestAccessLogFull fills the disk of an access log: requests are served, the log says it once,
// and when there is room again how many lines are missing.
func TestAccessLogFull(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("a disk of its own takes root")
	}
	unshare := peer.Need(t, "unshare")
	port, disk := peer.FreePort(t), t.TempDir()
	before := []string{unshare, "-m", "sh", "-c", `mount -t tmpfs -o size=64k none "$0" && head -c 65536 /dev/zero >"$0/filler"; exec "$@"`, disk}
	umbra := runBy(t, before, accessFile(port, filepath.Join(disk, "access.log"), ""), port)
	inside := func(name string) string {
		return filepath.Join("/proc", fmt.Sprint(umbra.Cmd.Process.Pid), "root", disk, name)
	}
	url := page(t, 1000)
	const lost = 5
	for range lost {
		if got, err := curlThrough(t, peer.Addr(port), url); err != nil || len(got) != 1000 {
			t.Errorf("with a full disk: got %d bytes, %v", len(got), err)
		}
	}
	umbra.WaitOutput(t, "access log can't be written")
	if err := os.Remove(inside("filler")); err != nil {
		t.Fatal(err)
	}
	fetched := lost
	coretest.Eventually(t, "a line after the room", func() bool {
		if _, err := curlThrough(t, peer.Addr(port), url); err != nil {
			t.Errorf("with room again: %v", err)
		}
		fetched++
		return strings.Contains(umbra.Output(), "access log is written again")
	})
	umbra.WaitOutput(t, "lines of the access log lost")
	log := umbra.Output()
	if n := strings.Count(log, "can't be written"); n != 1 || !strings.Contains(log, "no space left on device") {
		t.Errorf("it was said %d times, want once with its reason:\n%s", n, log)
	}
	var missing int
	_, told, _ := strings.Cut(log, " lines=")
	if _, err := fmt.Sscan(told, &missing); err != nil || missing == 0 {
		t.Errorf("got %d lines lost, %v, want some", missing, err)
	}
	coretest.Eventually(t, "a line, or a word of its loss, for each connection", func() bool {
		return missing+len(accessLines(t, inside("access.log"))) >= fetched
	})
	if n := missing + len(accessLines(t, inside("access.log"))); n > fetched+2 { // the look whether umbra listens
		t.Errorf("got %d lines and losses, want %d", n, fetched)
	}
}

// TestAccessLogUnread has nobody read the standard output that an access log goes to: requests
// are served, and umbra ends.
func TestAccessLogUnread(t *testing.T) {
	t.Parallel()
	port := peer.FreePort(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "umbra.toml")
	if err := os.WriteFile(path, []byte(strings.Replace(accessFile(port, "stdout", ""), "fields", "queue = 16\nfields", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	// The pipe is full before umbra begins to write to it.
	umbra := peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, "sh", "-c",
		`mkfifo "$0.pipe" && exec 3<>"$0.pipe" && (dd if=/dev/zero of="$0.pipe" bs=4096 oflag=nonblock 2>/dev/null; true) && exec "$1" run "$0" >"$0.pipe"`, path, self)
	umbra.WaitListen(t, port)
	url := page(t, 10)
	for range 40 {
		if _, err := curlThrough(t, peer.Addr(port), url); err != nil {
			t.Fatalf("with nobody reading: %v", err)
		}
	}
	umbra.WaitOutput(t, "umbra started")
	umbra.Signal(t, syscall.SIGTERM)
	if code := umbra.Wait(t); code != 0 {
		t.Errorf("got exit status %d", code)
	}
}
