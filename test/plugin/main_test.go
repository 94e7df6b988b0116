// Package plugin tests adding kinds from outside the project: the documentation page, literally, and the example.
package plugin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/plugins"
	"github.com/umbra-proxy/umbra/test/peer"
)

// asUmbra makes the test binary run as umbra.
const asUmbra = "UMBRA_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asUmbra) != "" {
		app.Main(plugins.Standard)
	}
	os.Exit(m.Run())
}

// root is the checkout that is tested.
func root(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs a program to its end and returns its output. Modules come from the module cache only.
func command(t testing.TB, folder, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), append(offline(t), asUmbra+"=1", "GORACE=atexit_sleep_ms=0")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// offline makes the go command use only the module cache of this machine, after downloading umbra's
// dependencies.
func offline(t testing.TB) []string {
	t.Helper()
	if out, err := exec.Command("go", "mod", "download").CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, out)
	}
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	return []string{"GOPROXY=file://" + filepath.Join(strings.TrimSpace(string(out)), "cache", "download"), "GONOSUMDB=*"}
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// ports replaces the ports in a file by free ones.
func ports(t testing.TB) (proxy, server int, replace *strings.Replacer) {
	t.Helper()
	proxy, server = peer.FreePort(t), peer.FreePort(t)
	return proxy, server, strings.NewReplacer("127.0.0.1:1080", peer.Addr(proxy), "127.0.0.1:8388", peer.Addr(server))
}

// carries sends a page and a datagram through the SOCKS5 side of a program.
func carries(t testing.TB, program, file string, proxy, server int) {
	t.Helper()
	umbra := peer.Start(t, nil, program, "run", file)
	umbra.WaitListen(t, proxy)
	umbra.WaitPackets(t, server)
	page := strings.Repeat("a page\n", 100_000)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) }))
	defer web.Close()
	curl := peer.Need(t, "curl")
	out, err := exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--fail", "--max-time", "60",
		"--proxy", "socks5h://"+peer.Addr(proxy), web.URL).CombinedOutput()
	if err != nil || string(out) != page {
		t.Errorf("curl: got %d bytes, %v, want %d: %.200s", len(out), err, len(page), out)
	}
	datagram(t, proxy)
	if log := umbra.Output(); strings.Contains(log, "panic") || strings.Contains(log, " ERROR ") {
		t.Errorf("umbra logged\n%s", log)
	}
}

// datagram sends a datagram through an association to a target that answers.
func datagram(t testing.TB, proxy int) {
	t.Helper()
	target, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		b := make([]byte, core.MaxDatagram)
		for {
			n, from, err := target.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = target.WriteTo(b[:n], from) // the client detects a missing answer
		}
	}()
	until := time.Now().Add(30 * time.Second)
	control, err := net.Dial("tcp", peer.Addr(proxy))
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	_ = control.SetDeadline(until)
	if _, err := control.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte
	if _, err := io.ReadFull(control, answer[:]); err != nil || answer[3] != 0 {
		t.Fatalf("associate: got % x, %v", answer, err)
	}
	relay, _, err := socksaddr.Decode(answer[5:])
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", relay.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(until)
	to, err := core.ParseAddr(target.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	sent := append(socksaddr.Append([]byte{0, 0, 0}, to), "a datagram"...)
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, core.MaxDatagram)
	if n, err := c.Read(got); err != nil || string(got[:n]) != string(sent) {
		t.Errorf("datagram: got %q, %v, want %q", got[:n], err, sent)
	}
}
